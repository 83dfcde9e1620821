/** Failures of the service layer that end the process: one line for the operator and an exit code of sysexits(3). */
export const EX = { UNAVAILABLE: 69, NOPERM: 77, CONFIG: 78 } as const;

export class ServiceError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
