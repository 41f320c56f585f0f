/** Version of the SDK: the same as in package.json. */
export const version = '0.1.0';

/** How the SDK names itself to an engine: `<name>:v<version>` (SE-19). */
export const sdkName = `stepwell-js:v${version}`;
