export async function runTop(_socket: string): Promise<number> {
  return 0;
}
