// belljar from TypeScript and JavaScript: sandboxes for code that nobody has read, in Daytona's names and without a server.

export { find as findBinary } from "./binary.js";
export { type Chart, ChartType } from "./charts.js";
export { Call, Client } from "./client.js";
export { Daytona } from "./daytona.js";
export * from "./errors.js";
export { type FileInfo, FileSystem, type FileUpload, type Match, type ReplaceResult } from "./filesystem.js";
export { type FileStatus, Git, type GitStatus } from "./git.js";
export { Image, type PipInstallOptions } from "./image.js";
export { CodeInterpreter, type ExecutionError, type ExecutionResult, type InterpreterContext, type RunCodeOptions } from "./interpreter.js";
export { type CompletionItem, LspLanguageId, LspServer, type LspSymbol, type Position } from "./lsp.js";
export type { OnOutput } from "./methods.js";
export * from "./models.js";
export {
  type CodeRunParams, type Command, type ExecuteResponse, Process, type PtyCreateOptions, type Session, type SessionExecuteRequest,
  type SessionExecuteResponse,
} from "./process.js";
export { PtyHandle, type PtyResult, type PtySessionInfo } from "./pty.js";
export { Sandbox } from "./sandbox.js";
export { SnapshotService, VolumeService } from "./services.js";
