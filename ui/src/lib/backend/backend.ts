import type {
  AddReport,
  AppError,
  AppEvent,
  AskEvent,
  AskRequest,
  Conversation,
  ConversationSummary,
  Desktop,
  DesktopSettings,
  FileStatus,
  FolderRules,
  HistoryEntry,
  Linked,
  Models,
  ModelSettings,
  Quoted,
  Rating,
  Rect,
  RemovalPreview,
  RemovedModel,
  SearchReply,
  SearchRequest,
  SetReport,
  Source,
  SourceNow,
  Status,
  TagCount,
  TextRange,
} from '../types';

/** What the person does with files above the window. */
export type DragPhase = 'enter' | 'leave' | 'drop';

/** Ends a subscription. */
export type Unsubscribe = () => void;

/** Everything the page asks of the application. A rejection is an `AppError`. */
export interface Backend {
  status(): Promise<Status>;
  files(): Promise<FileStatus[]>;
  addPaths(paths: string[]): Promise<AddReport>;
  removePath(path: string): Promise<void>;
  /** Queues what failed or was called off at or below a path once more, or everywhere. */
  retry(path: string | null): Promise<void>;
  /** Reads a file that opens with a password only, which is kept nowhere. */
  unlock(path: string, password: string): Promise<void>;
  /** Calls off the reading of what waits at or below a path, or everywhere; `retry` queues it again. */
  callOff(path: string | null): Promise<void>;
  /** Has a file that waits read before the others. */
  hurry(path: string): Promise<void>;
  /** Changes what inside a folder belongs to the library. */
  setRules(path: string, rules: FolderRules): Promise<void>;
  /**
   * Gives files and folders tags and takes others from them. Resolves to the tags that the last of them has
   * of itself, not from a folder above it.
   */
  tag(paths: string[], add: string[], remove: string[]): Promise<string[]>;
  /** All tags in use, by name. */
  tags(): Promise<TagCount[]>;
  setFolderPaused(path: string, paused: boolean): Promise<void>;
  /** What happened to files, the latest first; only what came before the entry `before`. */
  history(before: number | null, limit: number): Promise<HistoryEntry[]>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  search(request: SearchRequest): Promise<SearchReply>;
  /** Resolves after the last event, which is `done`, `cancelled` or `failed`. */
  ask(request: AskRequest, onEvent: (event: AskEvent) => void): Promise<void>;
  /** Stops the answer that is being written. */
  stop(): Promise<void>;
  conversations(): Promise<ConversationSummary[]>;
  conversation(id: number): Promise<Conversation>;
  deleteConversation(id: number): Promise<void>;
  /** The conversations in whose questions and answers these words occur. */
  findConversations(words: string): Promise<ConversationSummary[]>;
  /** Keeps what the person thinks of an answer. */
  rate(answer: number, rating: Rating | null): Promise<void>;
  /** Asks the person for an empty folder, and writes the rated answers there; null when they change
   * their mind. */
  exportRated(): Promise<SetReport | null>;
  desktopSettings(): Promise<DesktopSettings>;
  /** What the desktop around the window can do. */
  desktop(): Promise<Desktop>;
  /** Has the program start with the person's session, or no longer. */
  setAutostart(on: boolean): Promise<void>;
  setDesktopSettings(settings: DesktopSettings): Promise<void>;
  /** Has what is said outside of the page, such as the tray's menu, be said in its language. */
  setLanguage(language: 'en' | 'zh'): Promise<void>;
  /** Closes the window, which ends the program unless it watches on without one. */
  closeWindow(): Promise<void>;
  /** Ends the program, also where it would watch on without a window. */
  quit(): Promise<void>;
  source(path: string): Promise<Source>;
  /** What became of sources since they were quoted, in the order of `quoted`. */
  sourcesNow(quoted: Quoted[]): Promise<SourceNow[]>;
  /** The passage that a link of the system leads to; null where none waits to be followed. */
  linked(): Promise<Linked | null>;
  /** Where parts of a document stand on its pages, in the order of `ranges`. */
  places(path: string, ranges: TextRange[]): Promise<Rect[][]>;
  /** Bytes of the file behind a document; fewer than asked for where it ends. */
  documentBytes(path: string, start: number, length: number): Promise<Uint8Array>;
  /** Opens the file in the system's own viewer. */
  openPath(path: string): Promise<void>;
  /** The folder of documents that comes with the application, if there is one. */
  samples(): Promise<string | null>;
  /** Asks the person for folders; empty when they change their mind. */
  pickFolders(): Promise<string[]>;
  /** Asks the person for files; empty when they change their mind. */
  pickFiles(): Promise<string[]>;
  /** Which models there are, how they would run here, and how far their downloads are. */
  models(): Promise<Models>;
  /** Starts to fetch a model, or goes on with it. */
  getModel(id: string): Promise<void>;
  pauseDownload(id: string): Promise<void>;
  resumeDownload(id: string): Promise<void>;
  /** Stops fetching a model and throws away what is here of it. */
  cancelDownload(id: string): Promise<void>;
  /** Takes a model's file, which stays where it is where another program owns it. */
  importModel(path: string): Promise<void>;
  useModel(id: string): Promise<void>;
  removalPreview(id: string): Promise<RemovalPreview>;
  removeModel(id: string): Promise<RemovedModel>;
  setModelSettings(settings: ModelSettings): Promise<void>;
  /** Asks the person for the file of a model. */
  pickModel(): Promise<string | null>;
  /** Asks the person where to, and writes a text there; null when they change their mind. */
  saveText(name: string, text: string): Promise<string | null>;
  /** Draws the window's page larger or smaller; 1 is its natural size. */
  setZoom(factor: number): Promise<void>;
  /** Forgets every folder and conversation. Files on the disk stay. */
  deleteEverything(): Promise<void>;
  onApp(listener: (event: AppEvent) => void): Promise<Unsubscribe>;
  /** Hears what is chosen in the system's menu bar, by the names in `stores/commands`. */
  onMenu(listener: (command: string) => void): Promise<Unsubscribe>;
  onDrag(listener: (phase: DragPhase) => void): Promise<Unsubscribe>;
}

/** Whatever was thrown, as an error with words for the person. */
export function toAppError(thrown: unknown): AppError {
  if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) {
    const { code, message, hint } = thrown as Partial<Record<keyof AppError, unknown>>;
    return {
      code: typeof code === 'string' ? code : 'internal',
      message: String(message),
      hint: typeof hint === 'string' ? hint : '',
    };
  }
  return { code: 'internal', message: String(thrown), hint: '' };
}
