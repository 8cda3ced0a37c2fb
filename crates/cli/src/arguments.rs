//! The command line's grammar.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lectern_app::{AskRequest, Filter, FolderRules, Manner, Rating, SearchMode};

/// So many hits, where nobody says how many.
pub const DEFAULT_HITS: u32 = 10;

/// Reads the documents in your folders and answers questions about them with a
/// model on this computer. Nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(name = "lectern", version, about, max_term_width = 100)]
pub struct Arguments {
    /// The library's folder (default: the platform's data directory).
    #[arg(long, global = true, env = "LECTERN_LIBRARY", value_name = "DIR")]
    pub library: Option<PathBuf>,
    /// The chat model's id, for this call (default: the one that `models use` chose).
    #[arg(long, global = true, env = "LECTERN_CHAT_MODEL", value_name = "ID")]
    pub model: Option<String>,
    /// Print JSON for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no progress.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch folders, or import files.
    Add {
        /// Folders or files.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Return when all of them are searchable by words and by meaning.
        #[arg(long)]
        wait: bool,
    },
    /// Stop watching folders, or forget files: the next query does not find them.
    Remove {
        /// Folders or files.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Make the library agree with the disk.
    Sync {
        /// Keep watching until ended.
        #[arg(long)]
        watch: bool,
    },
    /// What is in the library, and how far it is.
    Status {
        /// List every file.
        #[arg(long)]
        files: bool,
    },
    /// Find passages.
    Search {
        /// The words.
        query: String,
        /// How many hits at most.
        #[arg(short, default_value_t = DEFAULT_HITS, value_parser = clap::value_parser!(u32).range(1..=1000))]
        k: u32,
        /// By words, by meaning, or both.
        #[arg(long, value_enum, default_value_t)]
        mode: Mode,
        #[command(flatten)]
        filter: FilterArguments,
        /// Show each hit's place by words and by meaning, and the scores.
        #[arg(long)]
        explain: bool,
        /// Say why this file is not among the hits.
        #[arg(long, value_name = "PATH")]
        why: Option<PathBuf>,
    },
    /// Ask a question.
    Ask {
        /// The question.
        question: String,
        #[command(flatten)]
        filter: FilterArguments,
        /// Go on with this conversation.
        #[arg(long, value_name = "ID")]
        conversation: Option<i64>,
        /// Read every document in scope: for lists, counts, comparisons and summaries.
        #[arg(long, conflicts_with = "no_answer")]
        thorough: bool,
        /// Only find the passages.
        #[arg(long)]
        no_answer: bool,
        #[command(flatten)]
        how: AskArguments,
    },
    /// Search or ask for every line `{"id", "question"}` of a file; prints JSON lines.
    Batch {
        /// A file of JSON lines.
        file: PathBuf,
        /// What to do with each line.
        #[arg(value_enum, default_value_t)]
        what: BatchWhat,
        /// How many hits, or passages for an answer, at most.
        #[arg(short, value_parser = clap::value_parser!(u32).range(1..=1000))]
        k: Option<u32>,
        /// By words, by meaning, or both.
        #[arg(long, value_enum, default_value_t)]
        mode: Mode,
    },
    /// Print the text of a document, in or out of the library.
    Text {
        /// The document.
        path: PathBuf,
    },
    /// Measure the search, or the answers, on a question set: a folder with `corpus/` and
    /// `queries.jsonl`. Reads the corpus into the library first.
    Eval {
        /// The set's folder.
        set: PathBuf,
        /// Measure answers instead of the search.
        #[arg(long)]
        answers: bool,
        /// Ask only every so many of the answerable and of the unanswerable questions.
        #[arg(long, value_name = "N", default_value_t = 1, requires = "answers")]
        every: usize,
        /// Begin with this question of each kind, counted from 0.
        #[arg(long, value_name = "N", default_value_t = 0, requires = "answers")]
        first: usize,
        /// Refuse where the model finds it less likely than this (0 to 1) that the sources
        /// hold the answer.
        #[arg(long, value_name = "SHARE", requires = "answers")]
        min_evidence: Option<f32>,
        /// By words, by meaning, or both.
        #[arg(long, value_enum, default_value_t)]
        mode: Mode,
        /// Write the report to this file, with every question.
        #[arg(long, value_name = "FILE")]
        save: Option<PathBuf>,
        /// Compare with a report that was saved, and list the questions that got worse.
        #[arg(long, value_name = "FILE")]
        baseline: Option<PathBuf>,
        /// Ask the questions of each language within the documents of each, of a set that has them in
        /// several: what answers one is what answers the same question in the other language.
        #[arg(long, conflicts_with = "answers")]
        across: bool,
        /// Leave a step of the search out, to measure what it brings.
        #[arg(long, hide = true, value_enum, value_delimiter = ',')]
        without: Vec<Step>,
    },
    /// List the conversations, show one, rate answers, or save the rated ones.
    Conversations {
        #[command(subcommand)]
        command: Option<ConversationsCommand>,
    },
    /// Show or change what inside a folder belongs to the library. What is not named stays
    /// as it is.
    Rules {
        /// A folder that was added.
        folder: PathBuf,
        #[command(flatten)]
        rules: RuleArguments,
    },
    /// Give files or folders tags, to search among what has them; what lies in a folder has the
    /// folder's too. Without a path, all tags are listed.
    Tag {
        /// Files or folders of the library.
        paths: Vec<PathBuf>,
        /// Add these.
        #[arg(long, value_name = "TAG,…", value_delimiter = ',', requires = "paths")]
        add: Vec<String>,
        /// Take these away.
        #[arg(long, value_name = "TAG,…", value_delimiter = ',', requires = "paths")]
        remove: Vec<String>,
    },
    /// Read a file that opens with a password only. The password is the first line of the
    /// standard input and is kept nowhere; the text is kept as that of any other file.
    Unlock {
        /// The file.
        path: PathBuf,
    },
    /// What happened to the files of the library, the latest first.
    History {
        /// How many entries at most.
        #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// Hold reading and embedding until they are resumed.
    Pause {
        /// One folder that was added; all work where there is none.
        folder: Option<PathBuf>,
    },
    /// Go on with reading and embedding.
    Resume {
        /// One folder that was added; all work where there is none.
        folder: Option<PathBuf>,
    },
    /// Call off the reading of what waits.
    Cancel {
        /// At or below this path; everything where there is none.
        path: Option<PathBuf>,
    },
    /// Read once more what failed or was called off.
    Retry {
        /// At or below this path; everything where there is none.
        path: Option<PathBuf>,
    },
    /// Models: what there is, what fits this computer, downloads, and settings.
    Models {
        /// What to do; `list` where nothing is said.
        #[command(subcommand)]
        command: Option<ModelsCommand>,
    },
    /// Check the machine, the models and the library.
    Doctor {
        /// Show that nothing is left of what was at or below this path.
        #[arg(long, value_name = "PATH")]
        forgotten: Option<PathBuf>,
    },
}

/// Changes of a folder's rules.
#[derive(Debug, Clone, Args)]
pub struct RuleArguments {
    /// Leave out what fits this pattern of .gitignore's syntax (may be given several times,
    /// instead of all patterns before).
    #[arg(long, value_name = "PATTERN")]
    ignore: Option<Vec<String>>,
    /// Whether hidden files and folders belong to it.
    #[arg(long, value_name = "BOOL")]
    hidden: Option<bool>,
    /// Only files of these types; `all` for every type.
    #[arg(long, value_name = "pdf,md,…", value_delimiter = ',')]
    types: Option<Vec<String>>,
    /// Leave out larger files; 0 for no limit.
    #[arg(long, value_name = "MB")]
    max_size: Option<u32>,
    /// Forget every rule first.
    #[arg(long)]
    reset: bool,
}

impl RuleArguments {
    /// The rules that come of `before`; `None` where nothing is to be changed.
    pub fn applied_to(self, before: FolderRules) -> Option<FolderRules> {
        let Self { ignore, hidden, types, max_size, reset } = self;
        if !reset && ignore.is_none() && hidden.is_none() && types.is_none() && max_size.is_none() {
            return None;
        }
        let before = if reset { FolderRules::default() } else { before };
        Some(FolderRules {
            ignore: ignore.unwrap_or(before.ignore),
            hidden: hidden.unwrap_or(before.hidden),
            kinds: types.map_or(before.kinds, |types| {
                types.into_iter().filter(|kind| kind != "all").collect()
            }),
            max_megabytes: max_size.map_or(before.max_megabytes, |size| (size > 0).then_some(size)),
        })
    }
}

/// What `models` does.
#[derive(Debug, Clone, Subcommand)]
pub enum ModelsCommand {
    /// The models there are, and which are installed.
    List,
    /// Fetch a model, or go on with it. Ctrl-C pauses.
    Get {
        /// The model's id.
        id: String,
        /// Also where this computer has too little memory for it.
        #[arg(long)]
        anyway: bool,
    },
    /// Use a GGUF file on this computer; it is linked and not copied where that can be.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Answer with this chat model from now on, or search by meaning with this embedder, which
    /// first reads the library in the background.
    Use {
        /// The model's id.
        id: String,
    },
    /// Remove a model's files.
    Remove {
        /// The model's id.
        id: String,
        /// Also where another library uses it.
        #[arg(long)]
        anyway: bool,
    },
    /// How the models would run on this computer, which is recommended, and why.
    Fit,
    /// Set how the chat model runs; says how it is set.
    Set(SettingsArguments),
}

/// How the chat model runs.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArguments {
    /// Tokens of prompt and reply together; 0 for the usual.
    #[arg(long, value_name = "TOKENS")]
    pub context: Option<u32>,
    /// Threads; 0 for the usual. In force at the next start.
    #[arg(long)]
    pub threads: Option<u32>,
    /// 0 for the same answer each time, up to 2.
    #[arg(long)]
    pub temperature: Option<f32>,
    /// What you want of every answer, in your words.
    #[arg(long, value_name = "TEXT")]
    pub instructions: Option<String>,
    /// Where it runs.
    #[arg(long, value_enum)]
    pub device: Option<DeviceName>,
    /// Minutes after the last answer until it leaves the memory; 0 keeps it.
    #[arg(long, value_name = "MINUTES")]
    pub idle: Option<u32>,
}

/// Where a chat model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// The best there is.
    Auto,
    /// The processor.
    Cpu,
    /// Apple's graphics.
    Metal,
    /// NVIDIA's graphics.
    Cuda,
}

/// A step of the search that a measurement can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Words count by how many of the question's occur, meaning by how different the texts are.
    Weighing,
    /// What has the query's words close together moves up.
    Reranking,
    /// Neighbours become one passage.
    Joining,
    /// The list is varied.
    Variety,
}

/// What `batch` does with each line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum BatchWhat {
    /// Find passages.
    #[default]
    Search,
    /// Answer.
    Ask,
}

/// Which legs a search uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// By words and by meaning.
    #[default]
    Hybrid,
    /// By words.
    Lexical,
    /// By meaning.
    Semantic,
}

impl From<Mode> for SearchMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Hybrid => Self::Hybrid,
            Mode::Lexical => Self::Lexical,
            Mode::Semantic => Self::Semantic,
        }
    }
}

/// Where to look.
#[derive(Debug, Clone, Args)]
pub struct FilterArguments {
    /// Only at or below this path (may be given several times).
    #[arg(long = "in", value_name = "PATH")]
    within: Vec<String>,
    /// Nothing at or below this path (may be given several times).
    #[arg(long = "not-in", value_name = "PATH")]
    without: Vec<String>,
    /// Only documents of these types.
    #[arg(long = "type", value_name = "pdf,md,…", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Only documents in these languages.
    #[arg(long = "lang", value_name = "en,zh,…", value_delimiter = ',')]
    languages: Vec<String>,
    /// Only documents with this tag (may be given several times; all are then wanted).
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only documents changed on or after this day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<String>,
    /// Only documents changed on or before this day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<String>,
}

/// How an answer is made.
#[derive(Debug, Clone, Args)]
pub struct AskArguments {
    /// In which manner it is given.
    #[arg(long, value_enum)]
    manner: Option<MannerName>,
    /// In this language.
    #[arg(long, value_name = "NAME", conflicts_with = "manner")]
    language: Option<String>,
    /// Drop what its sources do not bear out, instead of marking it.
    #[arg(long)]
    only_supported: bool,
    /// Search for this instead of the question as it is asked.
    #[arg(long, value_name = "QUESTION")]
    search: Option<String>,
    /// Add this document to the sources (may be given several times).
    #[arg(long = "with", value_name = "PATH")]
    with: Vec<String>,
    /// Answer from the passages of this answer, without searching again.
    #[arg(long, value_name = "ANSWER")]
    passages_of: Option<i64>,
}

impl AskArguments {
    /// `request`, to be answered so.
    pub fn applied_to(self, request: AskRequest) -> AskRequest {
        let Self { manner, language, only_supported, search, with, passages_of } = self;
        AskRequest {
            manner: manner.map(Manner::from).or(language.map(Manner::Language)),
            only_supported,
            standalone_question: search,
            with,
            passages_of,
            ..request
        }
    }
}

/// A manner as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MannerName {
    /// In as few words as can be.
    Shorter,
    /// With the details that the sources give.
    Longer,
    /// In plain words.
    Simpler,
    /// As a list of points.
    Points,
}

impl From<MannerName> for Manner {
    fn from(name: MannerName) -> Self {
        match name {
            MannerName::Shorter => Self::Shorter,
            MannerName::Longer => Self::Longer,
            MannerName::Simpler => Self::Simpler,
            MannerName::Points => Self::Points,
        }
    }
}

/// What to do with conversations.
#[derive(Debug, Subcommand)]
pub enum ConversationsCommand {
    /// List them, the latest first; only those with all these words where there are any.
    List {
        /// Words of a question or an answer.
        words: Vec<String>,
    },
    /// Print a conversation with its answers.
    Show {
        /// Its id.
        id: i64,
    },
    /// Say what you think of an answer.
    Rate {
        /// The answer's id, as `show` prints it.
        answer: i64,
        /// `none` takes it back.
        #[arg(value_enum)]
        rating: RatingArgument,
    },
    /// Save the rated answers as a question set for `lectern eval`.
    Export {
        /// An empty folder, or a new one.
        folder: PathBuf,
    },
}

/// A rating as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RatingArgument {
    /// The answer is right.
    Up,
    /// It is not.
    Down,
    /// Nothing is thought of it.
    None,
}

impl From<RatingArgument> for Option<Rating> {
    fn from(rating: RatingArgument) -> Self {
        match rating {
            RatingArgument::Up => Some(Rating::Up),
            RatingArgument::Down => Some(Rating::Down),
            RatingArgument::None => None,
        }
    }
}

impl From<FilterArguments> for Filter {
    fn from(filter: FilterArguments) -> Self {
        let FilterArguments { within, without, kinds, languages, tags, since, until } = filter;
        Self { within, without, kinds, languages, tags, since, until }
    }
}
