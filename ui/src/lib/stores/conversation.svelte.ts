import { toAppError, type Backend } from '../backend';
import type {
  Answer,
  AnswerPassage,
  AppError,
  AskEvent,
  AskRequest,
  Coverage,
  ConversationSummary,
  Manner,
  Rating,
} from '../types';
import type { Notices } from './notices.svelte';

/** Where an answer is on its way. */
export type TurnState =
  'searching' | 'reading' | 'loading' | 'writing' | 'done' | 'cancelled' | 'failed';

/** A question and what came of it. */
export class Turn {
  readonly request: AskRequest;
  state = $state<TurnState>('searching');
  text = $state('');
  standaloneQuestion = $state('');
  passages = $state.raw<readonly AnswerPassage[]>([]);
  /** The complete answer, once there is one. */
  answer = $state.raw<Answer | null>(null);
  error = $state.raw<AppError | null>(null);
  /** How far it has come, where every document is read. */
  coverage = $state.raw<Coverage | null>(null);
  readonly isRunning = $derived(!['done', 'cancelled', 'failed'].includes(this.state));

  constructor(request: AskRequest) {
    this.request = request;
  }

  static from(answer: Answer): Turn {
    const { question, conversation, filter, manner, coverage } = answer;
    const thorough = coverage !== null;
    const turn = new Turn(newRequest(question, { conversation, filter, manner, thorough }));
    turn.#finish(answer, answer.cancelled ? 'cancelled' : 'done');
    return turn;
  }

  apply(event: AskEvent): void {
    switch (event.type) {
      case 'passages':
        this.passages = event.passages;
        this.standaloneQuestion = event.standalone_question;
        this.state = 'reading';
        break;
      case 'loading_model':
        this.state = 'loading';
        break;
      case 'reading':
        this.coverage = event.coverage;
        this.state = 'reading';
        break;
      case 'text':
        this.text += event.delta;
        this.state = 'writing';
        break;
      case 'done':
        this.#finish(event.answer, 'done');
        break;
      case 'cancelled':
        this.#finish(event.answer, 'cancelled');
        break;
      case 'failed':
        this.fail(event.error);
    }
  }

  fail(error: AppError): void {
    this.error = error;
    this.state = 'failed';
  }

  #finish(answer: Answer, state: 'done' | 'cancelled'): void {
    this.answer = answer;
    this.text = answer.answer;
    this.passages = answer.passages;
    this.standaloneQuestion = answer.standalone_question;
    this.state = state;
  }
}

/** A request with everything left open that is not named. */
export function newRequest(question: string, rest: Partial<AskRequest> = {}): AskRequest {
  return {
    question,
    filter: { in: [], not_in: [], type: [], since: null, until: null },
    conversation: null,
    no_answer: false,
    k: 0,
    min_evidence: null,
    thorough: false,
    manner: null,
    only_supported: false,
    standalone_question: null,
    ...rest,
  };
}

/** The conversation that is shown, the list of all, and the one answer being written. */
export class Conversations {
  list = $state.raw<ConversationSummary[]>([]);
  /** What is looked for in the conversations; the list holds those that have it. */
  words = $state('');
  /** The shown conversation's id; null until its first answer is kept. */
  id = $state<number | null>(null);
  turns = $state.raw<readonly Turn[]>([]);
  /** The turn being answered, shown or not. */
  running = $state.raw<Turn | null>(null);
  stopping = $state(false);
  /** The answer whose menu of manners is open. */
  adjusting = $state.raw<Turn | null>(null);

  readonly #backend: Backend;
  readonly #notices: Notices;
  readonly #dropsUnsupported: () => boolean;

  constructor(backend: Backend, notices: Notices, dropsUnsupported = () => false) {
    this.#backend = backend;
    this.#notices = notices;
    this.#dropsUnsupported = dropsUnsupported;
  }

  async loadList(): Promise<void> {
    await this.#attempt(async () => {
      const words = this.words.trim();
      const list =
        words === ''
          ? await this.#backend.conversations()
          : await this.#backend.findConversations(words);
      // Something else may be looked for by now.
      if (words === this.words.trim()) this.list = list;
    });
  }

  /** Keeps what the person thinks of an answer; the same once more takes it back. */
  async rate(turn: Turn, rating: Rating): Promise<void> {
    const { answer } = turn;
    if (answer === null || answer.id === null) return;
    const { id } = answer;
    const next = answer.rating === rating ? null : rating;
    await this.#attempt(async () => {
      await this.#backend.rate(id, next);
      turn.answer = { ...answer, rating: next };
    });
  }

  startNew(): void {
    this.id = null;
    this.turns = [];
  }

  async open(id: number): Promise<void> {
    await this.#attempt(async () => {
      const { answers } = await this.#backend.conversation(id);
      const turns = answers.map((answer) => Turn.from(answer));
      if (this.running?.request.conversation === id) turns.push(this.running);
      this.id = id;
      this.turns = turns;
    });
  }

  /** Back to a new conversation whose first answer is still being written. */
  showRunning(): void {
    if (this.running === null) return;
    this.id = null;
    this.turns = [this.running];
  }

  async delete(id: number): Promise<void> {
    await this.#attempt(async () => {
      await this.#backend.deleteConversation(id);
      if (this.id === id) this.startNew();
      await this.loadList();
    });
  }

  async ask(request: AskRequest): Promise<void> {
    if (this.running !== null) return;
    const only_supported = this.#dropsUnsupported();
    const turn = new Turn({ ...request, conversation: this.id, only_supported });
    this.running = turn;
    this.stopping = false;
    this.turns = [...this.turns, turn];
    try {
      await this.#backend.ask(turn.request, (event) => this.#follow(turn, event));
      // Channel messages may arrive after the command's own reply; `#follow` ends the turn.
    } catch (thrown) {
      this.#follow(turn, { type: 'failed', error: toAppError(thrown) });
    }
  }

  /** Asks a failed or stopped question once more, in its place. */
  async askAgain(turn: Turn): Promise<void> {
    if (this.running !== null) return;
    this.turns = this.turns.filter((other) => other !== turn);
    await this.ask(turn.request);
  }

  /** The last answer that is shown, if it can be asked for in another manner. */
  get adjustable(): Turn | null {
    if (this.running !== null) return null;
    return this.turns.findLast(({ answer }) => answer !== null && !answer.abstained) ?? null;
  }

  /** Asks for an answer in another manner, from what was searched for it. */
  async adjust(turn: Turn, manner: Manner): Promise<void> {
    const standalone_question = turn.standaloneQuestion || null;
    await this.ask({ ...turn.request, manner, standalone_question });
  }

  async stop(): Promise<void> {
    if (this.running === null) return;
    this.stopping = true;
    await this.#attempt(() => this.#backend.stop());
  }

  #follow(turn: Turn, event: AskEvent): void {
    if (!turn.isRunning) return;
    turn.apply(event);
    if (turn.isRunning) return;
    this.running = null;
    this.stopping = false;
    if (this.turns.includes(turn)) this.id = turn.answer?.conversation ?? this.id;
    void this.loadList();
  }

  async #attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (thrown) {
      this.#notices.fail(thrown);
    }
  }
}
