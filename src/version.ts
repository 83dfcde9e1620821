import pkg from '../package.json' with { type: 'json' };

/** The version, from package.json alone. */
export const VERSION: string = pkg.version;
