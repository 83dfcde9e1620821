/** Attempts at the same thing, of which the first to succeed counts; the next one begins when one fails or takes long. */

export interface Rules<T> {
  /** Milliseconds after which one more is begun, although none has failed. */
  patience: number;
  /** Begins the next attempt; null when there is none to make. */
  next(): Promise<T> | null;
  /** No other attempt would end differently. */
  final?(error: Error): boolean;
  /** Somebody else has won already. */
  late(value: T): void;
}

/** Gives what the first attempt gives that succeeds. Rejects with AggregateError, in the order of the attempts. */
export function race<T>({ patience, next, final, late }: Rules<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const errors: Error[] = [];
    let running = 0;
    let begun = 0;
    let over = false;
    let timer: NodeJS.Timeout | undefined;
    const settle = (end: () => void): void => {
      over = true;
      clearTimeout(timer);
      end();
    };
    const begin = (): void => {
      clearTimeout(timer);
      const attempt = next();
      if (attempt === null) {
        if (running === 0)
          settle(() => reject(new AggregateError(errors.filter(error => error !== undefined))));
        return;
      }
      const at = begun++;
      running++;
      timer = setTimeout(begin, patience);
      attempt.then(
        value => {
          running--;
          if (over) late(value);
          else settle(() => resolve(value));
        },
        (error: Error) => {
          running--;
          errors[at] = error;
          if (over) return;
          if (final?.(error)) settle(() => reject(new AggregateError([error])));
          else begin();
        },
      );
    };
    begin();
  });
}
