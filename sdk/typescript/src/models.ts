// What goes in and comes out, in Daytona's names.

import type { Image } from "./image.js";

/** What `codeRun` runs. */
export enum CodeLanguage {
  PYTHON = "python",
  TYPESCRIPT = "typescript",
  JAVASCRIPT = "javascript",
}

/** What a sandbox does. */
export enum SandboxState {
  STARTED = "started",
  STARTING = "starting",
  STOPPED = "stopped",
  STOPPING = "stopping",
  DESTROYED = "destroyed",
  ERROR = "error",
}

/** How a `Daytona` works. The key, the address and the target are Daytona's, and not used: nothing leaves this machine. */
export interface DaytonaConfig {
  apiKey?: string;
  apiUrl?: string;
  target?: string;
  jwtToken?: string;
  organizationId?: string;
  /** belljar's own directory, where it is not the usual one. */
  home?: string;
  /** What sandboxes may reach whose maker says nothing: `open`, `none`, or targets with commas between them, as `--allow` has them.
   * `BELLJAR_NET` where it is not given, and `open` where that is not set. */
  net?: string;
  /** Whether sandboxes stay whose maker says nothing, when the program ends. */
  keep?: boolean;
}

/** Limits of a sandbox: CPUs, GiB of memory and of disk. */
export interface Resources {
  cpu?: number;
  memory?: number;
  disk?: number;
  gpu?: number;
}

/** A volume in a sandbox. Its name is its id. */
export interface VolumeMount {
  volumeId: string;
  mountPath: string;
  subpath?: string;
}

/** What a sandbox is to be. Intervals are minutes. */
export interface CreateSandboxBaseParams {
  name?: string;
  language?: CodeLanguage | string;
  user?: string;
  envVars?: Record<string, string>;
  labels?: Record<string, string>;
  public?: boolean;
  autoStopInterval?: number;
  autoArchiveInterval?: number;
  autoDeleteInterval?: number;
  ttlMinutes?: number;
  volumes?: VolumeMount[];
  networkBlockAll?: boolean;
  networkAllowList?: string;
  domainAllowList?: string;
  /** True: it goes when it is stopped. False: it stays when the program ends, as with `keep`. */
  ephemeral?: boolean;
  /** It stays when the program ends. */
  keep?: boolean;
  resources?: Resources;
}

/** A sandbox of an image: the name of one that is here, or steps. */
export interface CreateSandboxFromImageParams extends CreateSandboxBaseParams {
  image: string | Image;
}

/** A sandbox of a snapshot, which is an image that is here; of the language's image where none is named. */
export interface CreateSandboxFromSnapshotParams extends CreateSandboxBaseParams {
  snapshot?: string;
}

/** How a sandbox is made. */
export interface CreateOptions {
  /** Seconds. */
  timeout?: number;
  onSnapshotCreateLogs?: (chunk: string) => void;
}

/** Which sandboxes to list. */
export interface ListSandboxesQuery {
  id?: string;
  name?: string;
  labels?: Record<string, string>;
  states?: SandboxState[];
}

/** An address that leads to a port of a sandbox. It needs no token, and is reached from this machine only. */
export interface PortPreviewUrl {
  url: string;
  token: string;
}

/** What a sandbox uses. Sizes are bytes. */
export interface SandboxMetrics {
  cpuCount: number;
  cpuUsedPct: number;
  memTotal: number;
  memUsed: number;
  diskTotal: number;
  diskUsed: number;
}

/** An image that is here. Its size is GiB. */
export interface Snapshot {
  id: string;
  name: string;
  imageName: string;
  state: string;
  size: number;
  createdAt: string | null;
}

/** Files that several sandboxes may have. */
export interface Volume {
  id: string;
  name: string;
  state: string;
  createdAt: string | null;
}
