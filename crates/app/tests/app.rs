//! The use cases over small parts: an index that counts words, no embedder, and a
//! model that says what it is told to. Reading and the catalogue are real.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use lectern_app::{
    App, AppError, AskEvent, AskRequest, ChatChoice, ChatSlot, Device, Embedding, ErrorCode,
    FileNeed, FileState, Filter, HistoryKind, Manner, ModelParts, Parts, Quoted, Rating, Reranking,
    SearchMode, SearchPlan, SearchRequest, SourceNow, SourceState, SupportLevel, TextRange,
};
use lectern_domain::{
    Access, ChatDelta, ChatMessage, ChatModel, ChatRequest, ChatStream, Chunk, ChunkId, ChunkIndex,
    ChunkMatch, DocumentId, EmbeddedChunk, Embedder, IndexError, IndexStore, IndexedChunk,
    LineUnit, ModelError, Reranker, Scope, Source, TokenUsage,
};
use lectern_models::{Downloads, ModelStore, ModelsError, Places};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

mod common;
use common::LocalReader;

/// Finds chunks by how many of the query's words they hold.
#[derive(Default)]
struct WordIndex(Mutex<BTreeMap<ChunkId, (DocumentId, String)>>);

#[async_trait]
impl ChunkIndex for WordIndex {
    async fn add_texts(&self, chunks: Vec<IndexedChunk>) -> Result<(), IndexError> {
        let chunks = chunks.into_iter().map(|c| (c.id, (c.document, c.text.to_lowercase())));
        self.0.lock().unwrap().extend(chunks);
        Ok(())
    }
    async fn add_vectors(&self, _: Vec<EmbeddedChunk>) -> Result<(), IndexError> {
        Ok(())
    }
    async fn remove(&self, documents: &[DocumentId]) -> Result<(), IndexError> {
        self.0.lock().unwrap().retain(|_, (document, _)| !documents.contains(document));
        Ok(())
    }
    async fn remove_chunks(&self, chunks: &[ChunkId]) -> Result<(), IndexError> {
        self.0.lock().unwrap().retain(|chunk, _| !chunks.contains(chunk));
        Ok(())
    }
    async fn lexical(
        &self,
        query: &str,
        k: usize,
        scope: &Scope,
    ) -> Result<Vec<ChunkMatch>, IndexError> {
        let query = query.to_lowercase();
        let score =
            |text: &str| query.split_whitespace().filter(|word| text.contains(word)).count();
        let mut matches: Vec<ChunkMatch> = self
            .0
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, (document, _))| match scope {
                Scope::All => true,
                Scope::Documents(documents) => documents.contains(document),
            })
            .map(|(chunk, (_, text))| ChunkMatch { chunk: *chunk, score: score(text) as f32 })
            .filter(|found| found.score > 0.)
            .collect();
        matches.sort_by(|a, b| b.score.total_cmp(&a.score));
        matches.truncate(k);
        Ok(matches)
    }
    async fn semantic(
        &self,
        _: &[f32],
        _: usize,
        _: &Scope,
    ) -> Result<Vec<ChunkMatch>, IndexError> {
        Ok(Vec::new())
    }
    async fn text_ids(&self) -> Result<HashSet<ChunkId>, IndexError> {
        Ok(self.0.lock().unwrap().keys().copied().collect())
    }
    async fn vector_ids(&self) -> Result<HashSet<ChunkId>, IndexError> {
        Ok(HashSet::new())
    }
    async fn maintain(&self) -> Result<(), IndexError> {
        Ok(())
    }
    async fn purge(&self, _: &[String]) -> Result<(), IndexError> {
        Ok(())
    }
}

/// Says `reply` word by word; with `endless` it never ends by itself.
struct Speaker {
    reply: &'static str,
    endless: bool,
}

#[async_trait]
impl ChatModel for Speaker {
    fn id(&self) -> &str {
        "speaker"
    }
    fn context_tokens(&self) -> usize {
        4096
    }
    async fn count_tokens(&self, text: &str) -> Result<usize, ModelError> {
        Ok(text.split_whitespace().count())
    }
    async fn yes_or_no(&self, _: Vec<ChatMessage>) -> Result<Option<f32>, ModelError> {
        Ok(None)
    }
    async fn generate(&self, _: ChatRequest) -> Result<ChatStream, ModelError> {
        let words =
            self.reply.split_inclusive(' ').map(|word| Ok(ChatDelta::Text(word.to_owned())));
        let usage = TokenUsage { prompt: 10, completion: 5 };
        Ok(if self.endless {
            stream::iter(words).chain(stream::pending()).boxed()
        } else {
            stream::iter(words).chain(stream::iter([Ok(ChatDelta::Done(usage))])).boxed()
        })
    }
}

/// Repeats the first sentence of each source that it is given, and counts how often it is asked.
#[derive(Default)]
struct Repeater(AtomicUsize);

#[async_trait]
impl ChatModel for Repeater {
    fn id(&self) -> &str {
        "repeater"
    }
    fn context_tokens(&self) -> usize {
        4096
    }
    async fn count_tokens(&self, text: &str) -> Result<usize, ModelError> {
        Ok(text.split_whitespace().count())
    }
    async fn yes_or_no(&self, _: Vec<ChatMessage>) -> Result<Option<f32>, ModelError> {
        Ok(None)
    }
    async fn generate(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let sources = request.messages[1].content.split("\n\n");
        let said: Vec<String> = sources
            .filter_map(|source| source.split_once(":\n[")?.1.split_once("] "))
            .filter_map(|(number, text)| Some(format!("{}. [{number}]", text.split_once('.')?.0)))
            .collect();
        let usage = TokenUsage { prompt: 10, completion: 5 };
        let deltas = [Ok(ChatDelta::Text(said.join(" "))), Ok(ChatDelta::Done(usage))];
        Ok(stream::iter(deltas).boxed())
    }
}

/// One and the same index for every embedder.
struct OneIndex(Arc<dyn ChunkIndex>);

#[async_trait]
impl IndexStore for OneIndex {
    async fn open(&self, _: &str, _: Access) -> Result<Arc<dyn ChunkIndex>, IndexError> {
        Ok(self.0.clone())
    }
}

/// Something that is there already, or is missing.
struct Ready<T: ?Sized>(Option<Arc<T>>);

#[async_trait]
impl<T: ?Sized + Send + Sync> Source<T> for Ready<T> {
    fn id(&self) -> String {
        "test".into()
    }
    async fn get(&self) -> Result<Arc<T>, ModelError> {
        let missing = || ModelError::new(ErrorCode::ModelMissing, "not installed", "install it");
        self.0.clone().ok_or_else(missing)
    }
}

/// No models, and none that could be loaded.
fn no_models(directory: &Path) -> ModelParts {
    let store = ModelStore::of(directory.join("models"), &[]);
    let unreachable =
        |reason: &str| ModelsError::Unreachable { host: "hub".into(), reason: reason.into() };
    let choice = ChatChoice { id: "test".into(), context_tokens: 4096, device: Device::Auto };
    ModelParts {
        downloads: Downloads::new(store.clone(), move || Err(unreachable("it is a test"))),
        store,
        chat: Arc::new(ChatSlot::new(choice, |_| async {
            Err(ModelError::new(ErrorCode::ModelMissing, "not installed", "install it"))
        })),
        chat_is_given: false,
        devices: vec![Device::Cpu],
        places: Places::default(),
        pace: OnceCell::new(),
    }
}

struct World {
    directory: tempfile::TempDir,
    index: Arc<dyn ChunkIndex>,
    app: App,
}

/// Opens the library in `directory`, as a process of its own would.
fn open(
    directory: &Path,
    index: &Arc<dyn ChunkIndex>,
    chat: Option<Arc<dyn ChatModel>>,
) -> Result<App, AppError> {
    open_with(directory, index, chat, |_| None)
}

/// The same with a cross-encoder.
fn open_with(
    directory: &Path,
    index: &Arc<dyn ChunkIndex>,
    chat: Option<Arc<dyn ChatModel>>,
    reranking: impl Fn(Option<&str>) -> Option<Reranking> + Send + Sync + 'static,
) -> Result<App, AppError> {
    let installed = chat.is_some();
    let embedding = || Embedding {
        embedder: Arc::new(Ready::<dyn Embedder>(None)),
        is_multilingual: true,
        spread: 0.5,
    };
    let parts = Parts {
        index: Arc::new(OneIndex(index.clone())),
        embedder: "test".to_owned(),
        embedding: Box::new(move |_| Some(embedding())),
        reranking: Box::new(reranking),
        chat: Arc::new(Ready(chat)),
        chat_installed: Box::new(move || installed),
        models: no_models(directory),
        reader: Box::new(|| Box::new(LocalReader)),
        on_battery: Box::new(|| false),
        checks: Vec::new(),
    };
    App::open(&directory.join("library"), parts)
}

impl World {
    /// A library of these files, read.
    async fn new(chat: Option<Speaker>, files: &[(&str, &str)]) -> Self {
        Self::with(chat.map(|speaker| Arc::new(speaker) as Arc<dyn ChatModel>), files).await
    }

    /// The same with any model.
    async fn with(chat: Option<Arc<dyn ChatModel>>, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let index: Arc<dyn ChunkIndex> = Arc::new(WordIndex::default());
        let app = open(directory.path(), &index, chat).unwrap();
        let world = Self { directory, index, app };
        for (name, content) in files {
            let path = world.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        if !files.is_empty() {
            world.app.add(&[world.path("")]).await.unwrap();
            world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("documents").join(name)
    }

    /// Opens the library once more, beside this.
    fn opened_again(&self) -> Result<App, AppError> {
        open(self.directory.path(), &self.index, None)
    }

    /// Ends the program and opens the library anew.
    fn restart(self) -> Result<Self, AppError> {
        let Self { directory, index, app } = self;
        drop(app);
        Ok(Self { app: open(directory.path(), &index, None)?, directory, index })
    }

    fn catalogue(&self) -> PathBuf {
        self.directory.path().join("library/catalog.sqlite")
    }

    async fn found(&self, query: &str) -> Vec<String> {
        let request = SearchRequest {
            query: query.into(),
            k: 10,
            mode: SearchMode::Hybrid,
            filter: Filter::default(),
        };
        let hits = self.app.search(&request).await.unwrap().hits;
        hits.into_iter()
            .map(|hit| Path::new(&hit.document).file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    }
}

fn question(question: &str) -> AskRequest {
    AskRequest { question: question.into(), ..AskRequest::default() }
}

const RENT: (&str, &str) = ("rent.md", "# Lease\n\nThe rent is 900 euros. It is due on the first.");

#[tokio::test]
async fn an_answer_is_streamed_checked_cited_and_kept() {
    let speaker =
        Speaker { reply: "The rent is 900 euros [1]. Dogs may sing [7].", endless: false };
    let world =
        World::new(Some(speaker), &[RENT, ("b.txt", "Something else about gardens.")]).await;
    let mut events = Vec::new();
    let request = question("What is the rent?");
    world.app.ask_and_tell(&request, |event| events.push(event)).await;

    let streamed: String = events
        .iter()
        .filter_map(|event| match event {
            AskEvent::Text { delta } => Some(delta.as_str()),
            _ => None,
        })
        .collect();
    assert!(streamed.starts_with("The rent is 900 euros [1]."), "{streamed}");
    assert!(!streamed.contains("[7]"), "no source has the number 7");
    assert!(matches!(&events[0], AskEvent::Passages { passages, .. } if !passages.is_empty()));
    let Some(AskEvent::Done { answer }) = events.pop() else { panic!("{events:?}") };
    assert_eq!(answer.sentences[0].support, SupportLevel::Supported);
    assert_eq!(answer.sentences[1].support, SupportLevel::Unsupported);
    let citation = &answer.citations[0];
    assert_eq!((citation.n, citation.quote.as_str()), (1, "The rent is 900 euros."));
    let text = world.app.text(&world.path("rent.md")).await.unwrap();
    let text: Vec<char> = text.pages.iter().flat_map(|page| page.text.chars()).collect();
    let quoted: String = text[citation.start as usize..citation.end as usize].iter().collect();
    assert_eq!(quoted, citation.quote);

    let kept = world.app.conversation(answer.conversation.unwrap()).unwrap();
    assert_eq!((kept.title.as_str(), &kept.answers[0]), ("What is the rent?", &*answer));
    assert_eq!(world.app.conversations().unwrap().len(), 1);
    world.app.delete_conversation(kept.id).unwrap();
    assert!(world.app.conversations().unwrap().is_empty());
}

#[tokio::test]
async fn a_passage_stands_where_the_hit_does() {
    let world = World::new(None, &[("rent.csv", "What,Amount\nRent,900 euros\n")]).await;
    let request = AskRequest { no_answer: true, ..question("What is the rent?") };
    let answer = world.app.ask(&request, |_| {}, &CancellationToken::new()).await.unwrap();
    let search = SearchRequest {
        query: "rent".into(),
        k: 1,
        mode: SearchMode::Hybrid,
        filter: Filter::default(),
    };
    let hits = world.app.search(&search).await.unwrap().hits;
    let place = answer.passages[0].place.as_ref();
    assert_eq!(place.map(|place| (place.line, place.line_unit)), Some((Some(1), LineUnit::Row)));
    assert_eq!(hits[0].place.as_ref(), place);
}

#[tokio::test]
async fn what_has_the_words_together_moves_up_unless_it_is_left_out() {
    let apart = "The roof is new. Repairs of doors and repairs of windows are paid by the tenant.";
    let files =
        [("apart.md", apart), ("together.md", "The landlord pays the repairs of the roof.")];
    let world = World::new(None, &files).await;
    let found = async |mode, reranks| {
        let request =
            SearchRequest { query: "roof repairs".into(), k: 10, mode, filter: Filter::default() };
        let plan = SearchPlan { reranks, ..SearchPlan::default() };
        world.app.search_by(&request, plan).await.unwrap().hits
    };
    for mode in [SearchMode::Hybrid, SearchMode::Lexical] {
        let hits = found(mode, true).await;
        assert!(hits[0].document.ends_with("together.md"), "{hits:?}");
        assert!(hits[0].reranked > hits[1].reranked, "{hits:?}");
        let plain = found(mode, false).await;
        assert!(plain.iter().all(|hit| hit.reranked.is_none()), "{plain:?}");
        for hit in &hits {
            let before = plain.iter().find(|plain| plain.document == hit.document).unwrap().score;
            assert!((hit.score - before - hit.reranked.unwrap()).abs() < 1e-5, "{hit:?}");
        }
    }
}

/// A cross-encoder that finds what is said of whales relevant, if it can be asked at all.
struct Whales(Trouble);

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    Nothing,
    Fails,
    Panics,
    ForgetsOne,
    GivesNoNumber,
}

impl Reranker for Whales {
    fn id(&self) -> &str {
        "whales"
    }
    fn rerank(&self, _: &str, passages: &[&Chunk]) -> Result<Vec<f32>, ModelError> {
        let score = |passage: &&Chunk| f32::from(u8::from(passage.text.contains("whale")));
        let mut scores: Vec<f32> = passages.iter().map(score).collect();
        match self.0 {
            Trouble::Nothing => {}
            Trouble::Fails => return Err(ModelError::new(ErrorCode::ModelFailed, "it failed", "")),
            Trouble::Panics => panic!("it panics"),
            Trouble::ForgetsOne => drop(scores.pop()),
            Trouble::GivesNoNumber => scores[0] = f32::NAN,
        }
        Ok(scores)
    }
}

#[tokio::test]
async fn a_cross_encoder_orders_the_best_where_it_is_installed_and_can() {
    let files = [
        ("apart.md", "The roof is new. Repairs of whales and windows are paid by the tenant."),
        ("together.md", "The landlord pays the repairs of the roof."),
        ("屋顶.md", "屋顶由房东修理。"),
        ("鲸鱼.md", "房东喜欢 whale，也喜欢屋顶，但是他不会修理。"),
    ];
    let world = World::new(None, &files).await;
    let best = async |reranking: Option<(Option<Trouble>, bool)>, query: &str, reranks| {
        let app = open_with(world.directory.path(), &world.index, None, move |_| {
            let (trouble, is_multilingual) = reranking?;
            let loaded = trouble.map(|trouble| Arc::new(Whales(trouble)) as Arc<dyn Reranker>);
            Some(Reranking { reranker: Arc::new(Ready(loaded)), is_multilingual })
        });
        let filter = Filter::default();
        let request =
            SearchRequest { query: query.into(), k: 10, mode: SearchMode::Hybrid, filter };
        let plan = SearchPlan { reranks, ..SearchPlan::default() };
        let hits = app.unwrap().search_by(&request, plan).await.unwrap().hits;
        let name = Path::new(&hits[0].document).file_name().unwrap().to_str().unwrap();
        (name.to_owned(), hits[0].reranked.is_some())
    };
    let works = Some((Some(Trouble::Nothing), true));
    let english = Some((Some(Trouble::Nothing), false));
    let is = |name: &str, reranked| (name.to_owned(), reranked);
    for (reranking, query, reranks, expected) in [
        (works, "roof repairs", true, is("apart.md", true)),
        (english, "roof repairs", true, is("apart.md", true)),
        (works, "屋顶 修理", true, is("鲸鱼.md", true)),
        (english, "屋顶 修理", true, is("屋顶.md", true)),
        (None, "roof repairs", true, is("together.md", true)),
        (Some((None, true)), "roof repairs", true, is("together.md", true)),
    ] {
        assert_eq!(best(reranking, query, reranks).await, expected, "{query}");
    }
    assert!(!best(works, "roof repairs", false).await.1, "it is left out");
    for trouble in [Trouble::Fails, Trouble::Panics, Trouble::ForgetsOne, Trouble::GivesNoNumber] {
        let found = best(Some((Some(trouble), true)), "roof repairs", true).await;
        assert_eq!(found, is("together.md", true));
    }
}

/// Starts to ask and returns when the first word has come.
#[tokio::test]
async fn a_question_can_be_asked_again_in_other_words_and_without_a_source() {
    let speaker = Speaker { reply: "It is due on the first [1].", endless: false };
    let files = [RENT, ("old/rent.md", "# Old lease\n\nThe rent is due on the tenth.")];
    let world = World::new(Some(speaker), &files).await;
    let never = CancellationToken::new();
    let mut request = question("When is the rent due?");
    let first = world.app.ask(&request, |_| {}, &never).await.unwrap();
    let documents = |answer: &lectern_app::Answer| -> Vec<String> {
        answer.passages.iter().map(|passage| passage.document.clone()).collect()
    };
    assert_eq!(documents(&first).len(), 2);
    request.conversation = first.conversation;
    request.standalone_question = Some(" rent due on what day ".into());
    request.filter.without = vec![world.path("old").to_string_lossy().into_owned()];
    let second = world.app.ask(&request, |_| {}, &never).await.unwrap();
    assert_eq!(second.standalone_question, "rent due on what day");
    assert_eq!(second.question, "When is the rent due?");
    assert_eq!(documents(&second), [world.path("rent.md").to_string_lossy()]);
}

#[tokio::test]
async fn the_sentence_that_answers_is_known_before_the_model_speaks() {
    let world = World::new(None, &[RENT]).await;
    let request = AskRequest { no_answer: true, ..question("How much is the rent?") };
    let answer = world.app.ask(&request, |_| {}, &CancellationToken::new()).await.unwrap();
    let text = world.app.text(&world.path("rent.md")).await.unwrap();
    let text: Vec<char> = text.pages.iter().flat_map(|page| page.text.chars()).collect();
    let range = answer.passages[0].answering.unwrap();
    let sentence: String = text[range.start as usize..range.end as usize].iter().collect();
    assert_eq!(sentence, "The rent is 900 euros.");
}

#[tokio::test]
async fn an_answer_names_the_files_in_scope_that_were_not_read() {
    let files = [RENT, ("torn.pdf", "%PDF-1.7 torn"), ("sub/also.pdf", "%PDF-1.7 torn")];
    let world = World::new(None, &files).await;
    std::fs::write(world.path("new.md"), "It waits.").unwrap();
    world.app.add(&[world.path("")]).await.unwrap();
    let asked = async |within: &str| {
        let within = vec![world.path(within).to_string_lossy().into_owned()];
        let filter = Filter { within, ..Filter::default() };
        let request = AskRequest { no_answer: true, filter, ..question("What is the rent?") };
        let answer = world.app.ask(&request, |_| {}, &CancellationToken::new()).await.unwrap();
        let named = answer.unread.into_iter().map(|file| {
            let name = Path::new(&file.path).file_name().unwrap().to_string_lossy().into_owned();
            (name, file.state)
        });
        // It may be looked at once more, as what was written a moment before it was read.
        let named: Vec<_> = named.filter(|(name, _)| name != "rent.md").collect();
        assert!(answer.pending >= named.len() as u64 - answer.failed);
        (answer.failed, named)
    };
    let also = ("also.pdf".to_owned(), FileState::Failed);
    let all = vec![
        ("new.md".to_owned(), FileState::Pending),
        also.clone(),
        ("torn.pdf".to_owned(), FileState::Failed),
    ];
    assert_eq!(asked("").await, (2, all));
    assert_eq!(asked("sub").await, (1, vec![also]));
}

#[tokio::test]
async fn an_answer_is_made_anew_from_its_passages_without_a_search() {
    let speaker = Speaker { reply: "The rent is 900 euros [1].", endless: false };
    let world = World::new(Some(speaker), &[RENT]).await;
    let never = CancellationToken::new();
    let work = async || world.app.work_until_idle(&never).await.unwrap();
    let first = world.app.ask(&question("What is the rent?"), |_| {}, &never).await.unwrap();
    // Found by a search, but not there the first time.
    std::fs::write(world.path("other.md"), "What is the rent? The rent is what the rent is.")
        .unwrap();
    work().await;
    let request = AskRequest {
        passages_of: first.id,
        manner: Some(Manner::Shorter),
        ..question("What is the rent?")
    };
    let again = world.app.ask(&request, |_| {}, &never).await.unwrap();
    assert_eq!(again.passages, first.passages);
    assert_eq!(again.citations, first.citations);
    // Where one of them has changed, it is searched again.
    std::fs::write(world.path("rent.md"), "# Lease\n\nThe rent is 950 euros.").unwrap();
    work().await;
    let anew = world.app.ask(&request, |_| {}, &never).await.unwrap();
    assert_eq!(anew.passages.len(), 2);
    let gone = AskRequest { passages_of: Some(999), ..request };
    let gone = world.app.ask(&gone, |_| {}, &never).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn documents_that_the_person_adds_come_first_wherever_is_looked() {
    let files = [RENT, ("sub/boat.md", "The boat is blue."), ("sub/car.md", "The rent of a car.")];
    let world = World::new(None, &files).await;
    let path = |name: &str| world.path(name).to_string_lossy().into_owned();
    let request = AskRequest {
        no_answer: true,
        with: vec![path("sub/boat.md")],
        filter: Filter { within: vec![path("rent.md")], ..Filter::default() },
        ..question("Is the rent for the boat?")
    };
    let answer = world.app.ask(&request, |_| {}, &CancellationToken::new()).await.unwrap();
    let documents: Vec<String> = answer.passages.into_iter().map(|it| it.document).collect();
    assert_eq!(documents, [path("sub/boat.md"), path("rent.md")]);
}

#[tokio::test]
async fn what_was_found_in_a_document_is_kept_with_its_content() {
    let files = [("ada.md", "Ada pays 900 euros."), ("ben.md", "Ben pays 700 euros.")];
    let model = Arc::new(Repeater::default());
    let world = World::with(Some(model.clone()), &files).await;
    let never = CancellationToken::new();
    // How often the model was asked, and what came of it.
    let asked = async |question: AskRequest| {
        let before = model.0.load(Ordering::SeqCst);
        let answer = world.app.ask(&question, |_| {}, &never).await.unwrap();
        (model.0.load(Ordering::SeqCst) - before, answer)
    };
    let list = || question("List what everybody pays");
    let (times, first) = asked(list()).await;
    assert_eq!(times, 3, "each document, and what they come to");
    let coverage = first.coverage.unwrap();
    assert_eq!((coverage.documents, coverage.read), (2, 2), "few documents are read unasked");
    assert!(!first.wants_everything);
    assert_eq!(first.citations.len(), 2, "{}", first.answer);
    assert_eq!(asked(list()).await.0, 1, "only what they come to");
    // A file that was renamed has the same content.
    std::fs::rename(world.path("ben.md"), world.path("benjamin.md")).unwrap();
    std::fs::write(world.path("ada.md"), "Ada pays 950 euros.").unwrap();
    world.app.work_until_idle(&never).await.unwrap();
    let (times, changed) = asked(list()).await;
    assert_eq!(times, 2, "the document that was changed");
    assert!(changed.answer.contains("950") && !changed.answer.contains("900"));
    let cited: Vec<&str> = changed.citations.iter().map(|it| it.document.as_str()).collect();
    assert!(cited.iter().any(|path| path.ends_with("benjamin.md")), "{cited:?}");
    let shorter = AskRequest { manner: Some(Manner::Shorter), ..list() };
    assert_eq!(asked(shorter).await.0, 3, "another manner is another question");
    let larger = format!("Nothing of it. {}", "It says nothing. ".repeat(2_000));
    std::fs::write(world.path("long.md"), larger).unwrap();
    world.app.work_until_idle(&never).await.unwrap();
    let (_, offered) = asked(list()).await;
    assert!(offered.wants_everything && offered.coverage.is_none(), "it would take too long");
}

#[tokio::test]
async fn rated_answers_are_kept_and_become_a_question_set() {
    let speaker = Speaker { reply: "The rent is 900 euros [1].", endless: false };
    let world = World::new(Some(speaker), &[RENT, ("b.txt", "The rent of gardens.")]).await;
    let never = CancellationToken::new();
    let mut ids = Vec::new();
    for asked in ["What is the rent?", "Is the RENT high?", "Who pays the rent?"] {
        let answer = world.app.ask(&question(asked), |_| {}, &never).await.unwrap();
        ids.push((answer.conversation.unwrap(), answer.id.unwrap()));
    }
    world.app.rate(ids[0].1, Some(Rating::Up)).unwrap();
    world.app.rate(ids[1].1, Some(Rating::Down)).unwrap();
    world.app.rate(ids[2].1, Some(Rating::Up)).unwrap();
    world.app.rate(ids[2].1, None).unwrap();
    assert_eq!(world.app.rate(999, Some(Rating::Up)).unwrap_err().code, ErrorCode::NotFound);
    let ratings = ids.iter().map(|id| world.app.conversation(id.0).unwrap().answers[0].rating);
    assert_eq!(ratings.collect::<Vec<_>>(), [Some(Rating::Up), Some(Rating::Down), None]);

    let set = world.directory.path().join("set");
    let report = world.app.export_rated(&set).unwrap();
    assert_eq!((report.questions, report.documents, report.left_out), (2, 2, 0));
    let lines = std::fs::read_to_string(set.join("queries.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["question"], "What is the rent?");
    assert_eq!(lines[0]["answers"], serde_json::json!(["The rent is 900 euros [1]."]));
    let right = serde_json::json!([{"file": "documents/rent.md"}]);
    let other = serde_json::json!([{"file": "documents/b.txt"}]);
    assert_eq!((&lines[0]["relevant"], &lines[0]["near"]), (&right, &other));
    assert_eq!((&lines[0]["answerable"], &lines[1]["answerable"]), (&true.into(), &false.into()));
    assert_eq!(lines[1]["relevant"], serde_json::json!([]));
    for name in ["rent.md", "b.txt"] {
        let copy = std::fs::read(set.join("corpus/documents").join(name)).unwrap();
        assert_eq!(copy, std::fs::read(world.path(name)).unwrap());
    }
    assert_eq!(world.app.export_rated(&set).unwrap_err().code, ErrorCode::InvalidInput);
}

#[tokio::test]
async fn conversations_are_found_by_their_questions_and_answers() {
    let speaker = Speaker { reply: "The rent is 900 euros [1].", endless: false };
    let world = World::new(Some(speaker), &[RENT, ("é.txt", "Straßen and Élan.")]).await;
    let never = CancellationToken::new();
    for asked in ["What is the rent?", "Was ist Élan?"] {
        world.app.ask(&question(asked), |_| {}, &never).await.unwrap();
    }
    for (words, expected) in
        [("", 2), ("RENT what", 1), ("élan", 1), ("Rent élan", 0), ("lease", 0)]
    {
        let found = world.app.find_conversations(words).unwrap();
        assert_eq!(found.len(), expected, "{words}");
    }
}

async fn ask_until_first_word(app: &App) -> tokio::task::JoinHandle<Option<AskEvent>> {
    let (first_word, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let app = app.clone();
    let asking = tokio::spawn(async move {
        let mut last = None;
        app.ask_and_tell(&question("What is the rent?"), |event| {
            if matches!(event, AskEvent::Text { .. }) {
                // Later words interest nobody.
                let _ = first_word.send(());
            }
            last = Some(event);
        })
        .await;
        last
    });
    heard.recv().await.unwrap();
    asking
}

#[tokio::test]
async fn stopping_asking_anew_and_ending_the_program_end_the_answer() {
    let speaker = Speaker { reply: "The rent is 900 euros ", endless: true };
    let world = World::new(Some(speaker), &[RENT]).await;
    let first = ask_until_first_word(&world.app).await;
    let second = ask_until_first_word(&world.app).await;
    let third_ends: [&dyn Fn(); 2] = [&|| world.app.stop(), &|| world.app.shutdown()];
    let mut running = vec![first];
    world.app.stop();
    running.push(second);
    for end in third_ends {
        let asking = ask_until_first_word(&world.app).await;
        end();
        running.push(asking);
    }
    for asking in running {
        let Some(AskEvent::Cancelled { answer }) = asking.await.unwrap() else { panic!() };
        assert!(answer.cancelled && answer.answer.starts_with("The rent"), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_removed_is_not_found_although_the_index_still_holds_it() {
    let world = World::new(None, &[RENT, ("sub/boat.md", "The boat is blue.")]).await;
    assert_eq!(world.found("boat").await, ["boat.md"]);
    world.app.remove(&[world.path("sub")]).unwrap();
    assert!(world.found("boat").await.is_empty());
    let again = world.app.remove(&[world.path("sub/boat.md")]);
    assert!(again.is_ok(), "a path inside a watched folder can always be excluded");
    let elsewhere = world.app.remove(&[PathBuf::from("/elsewhere")]).unwrap_err();
    assert_eq!(elsewhere.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn the_state_tells_what_is_searchable_and_what_is_missing() {
    let world = World::new(None, &[RENT, ("empty.md", ""), ("bad.docx", "PK\u{3}\u{4}")]).await;
    let status = world.app.status(true).unwrap();
    assert_eq!((status.documents, status.skipped, status.failed), (1, 1, 1));
    assert_eq!((status.chunks, status.embedded_chunks), (1, 0));
    assert!(!status.model_installed);
    assert_eq!(status.problem.map(|problem| problem.code), Some(ErrorCode::ModelMissing));
    let files = status.files.unwrap();
    let states: Vec<(FileState, Option<&str>)> =
        files.iter().map(|file| (file.state, file.kind.as_deref())).collect();
    assert_eq!(
        states,
        [
            (FileState::Failed, Some("docx")),
            (FileState::Skipped, Some("md")),
            (FileState::Ready, Some("md"))
        ]
    );
    assert_eq!(status.folders.len(), 1);
    world.app.set_paused(true).unwrap();
    assert!(world.app.status(false).unwrap().paused);
    assert_eq!(world.app.retry(None).unwrap(), 1);
}

#[tokio::test]
async fn a_source_is_shown_block_by_block() {
    let world = World::new(None, &[RENT]).await;
    let path = world.path("rent.md");
    let source = world.app.source(path.to_str().unwrap()).await.unwrap();
    assert_eq!(
        (source.title.as_str(), source.kind.as_str(), source.missing),
        ("Lease", "md", false)
    );
    let blocks: Vec<(u32, &str)> =
        source.blocks.iter().map(|block| (block.start, block.text.as_str())).collect();
    assert_eq!(blocks, [(0, "Lease"), (7, "The rent is 900 euros. It is due on the first.")]);
    assert!(!source.changed);
    std::fs::write(&path, "# Lease\n\nThe rent is 950 euros.").unwrap();
    std::fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
        .unwrap();
    assert!(world.app.source(path.to_str().unwrap()).await.unwrap().changed);
    std::fs::remove_file(&path).unwrap();
    assert!(world.app.source(path.to_str().unwrap()).await.unwrap().missing);
}

#[tokio::test]
async fn only_files_of_the_library_are_given_to_the_page_and_only_in_parts() {
    let world = World::new(None, &[RENT]).await;
    let path = world.path("rent.md");
    let path = path.to_str().unwrap();
    let bytes = async |start, length| world.app.document_bytes(path, start, length).await.unwrap();
    let size = world.app.source(path).await.unwrap().bytes;
    assert_eq!(size, RENT.1.len() as u64);
    assert_eq!(bytes(2, 5).await, b"Lease");
    assert_eq!(bytes(size - 6, 100).await, b"first.");
    assert_eq!(bytes(size + 1, 1).await, b"");
    let secret = world.directory.path().join("library/catalog.sqlite");
    let refused = world.app.document_bytes(secret.to_str().unwrap(), 0, 10).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    // A document without pages has no rectangles, and a range that is none is no error.
    let ranges = [TextRange { start: 0, end: 5 }, TextRange { start: 9, end: 3 }];
    assert_eq!(world.app.places(path, &ranges).unwrap(), [[], []]);
}

#[tokio::test]
async fn what_is_in_an_archive_is_shown_out_of_it() {
    let world = World::new(None, &[RENT]).await;
    let archive = world.path("shelf.zip");
    std::fs::write(&archive, include_bytes!("../../extract/tests/data/shelf.zip")).unwrap();
    world.app.add(&[world.path("")]).await.unwrap();
    world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    let name = |inner: &str| archive.join(inner).to_str().unwrap().to_owned();
    let found = async |word: &str, filter: Filter| {
        let request =
            SearchRequest { query: word.into(), k: 10, mode: SearchMode::Lexical, filter };
        let hits = world.app.search(&request).await.unwrap().hits;
        hits.into_iter().map(|hit| hit.document).collect::<Vec<_>>()
    };
    let within = |path: &Path| Filter {
        within: vec![path.to_str().unwrap().to_owned()],
        ..Filter::default()
    };
    for (word, inner, kind) in [
        ("heron", "notes/heron.pdf", "pdf"),
        ("otter", "notes/otter.md", "md"),
        ("badger", "inner.zip/badger.txt", "txt"),
    ] {
        let path = name(inner);
        assert_eq!(found(word, within(&archive)).await, [path.clone()]);
        let of_kind = Filter { kinds: vec![kind.into()], ..Filter::default() };
        assert_eq!(found(word, of_kind).await, [path.clone()]);
        let elsewhere = world.path("rent.md");
        assert_eq!(found(word, within(&elsewhere)).await, [""; 0]);
        let source = world.app.source(&path).await.unwrap();
        assert_eq!((source.kind.as_str(), source.missing, source.changed), (kind, false, false));
        assert_eq!(world.app.file_to_open(&path).unwrap(), archive);
        let text = world.app.text(path.as_ref()).await.unwrap();
        assert!(text.pages[0].text.contains(word), "{text:?}");
    }
    // A page is drawn from the bytes of the member, part by part.
    let pdf = name("notes/heron.pdf");
    let size = world.app.source(&pdf).await.unwrap().bytes;
    let head = world.app.document_bytes(&pdf, 0, 8).await.unwrap();
    let tail = world.app.document_bytes(&pdf, size - 6, 100).await.unwrap();
    assert_eq!((head.as_slice(), tail.as_slice()), (b"%PDF-1.4".as_slice(), b"%%EOF\n".as_slice()));
    assert_eq!(world.app.document_bytes(&pdf, size + 1, 1).await.unwrap(), b"");
    // Nothing else is given, neither what failed nor what is not there.
    for inner in ["bad.docx", "gone.pdf"] {
        let refused = world.app.document_bytes(&name(inner), 0, 8).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::NotFound, "{inner}");
    }
    // Outside of the library as well.
    let outside = world.directory.path().join("outside.zip");
    std::fs::rename(&archive, &outside).unwrap();
    assert_eq!(found("badger", Filter::default()).await, [""; 0], "at once");
    assert!(world.app.source(&pdf).await.unwrap().missing);
    let text = world.app.text(&outside.join("inner.zip/badger.txt")).await.unwrap();
    assert_eq!((text.kind.as_str(), text.pages.len()), ("txt", 1));
    let list = world.app.text(&outside).await.unwrap();
    assert!(list.pages[0].text.contains("inner.zip/badger.txt"), "{list:?}");
    assert!(world.app.text(&outside.join("nothing.txt")).await.is_err());
}

#[tokio::test]
async fn everything_can_be_forgotten_at_once() {
    let speaker = Speaker { reply: "The rent is 900 euros [1].", endless: false };
    let world = World::new(Some(speaker), &[RENT]).await;
    world.app.ask_and_tell(&question("What is the rent?"), |_| {}).await;
    world.app.delete_everything().unwrap();
    assert_eq!(world.found("rent").await, [""; 0]);
    let status = world.app.status(true).unwrap();
    assert_eq!((status.documents, status.folders.len(), status.files), (0, 0, Some(Vec::new())));
    assert!(world.app.conversations().unwrap().is_empty());
    assert!(world.path("rent.md").exists());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_code() {
    let world = World::new(None, &[RENT]).await;
    let cancel = CancellationToken::new();
    let ask = |request: AskRequest| {
        let (world, cancel) = (&world, &cancel);
        async move { world.app.ask(&request, |_| {}, cancel).await.unwrap_err() }
    };
    let follow_up = AskRequest { conversation: Some(9), ..question("And then?") };
    let cases: [(AppError, ErrorCode); 5] = [
        (ask(question("  ")).await, ErrorCode::InvalidInput),
        (ask(question("What is the rent?")).await, ErrorCode::ModelMissing),
        (ask(follow_up).await, ErrorCode::NotFound),
        (world.app.add(&["/no/such/place".into()]).await.unwrap_err(), ErrorCode::NotFound),
        (
            world.app.add(&[world.directory.path().to_owned()]).await.unwrap_err(),
            ErrorCode::InvalidInput,
        ),
    ];
    for (error, code) in cases {
        assert_eq!(error.code, code, "{error:?}");
        assert!(!error.hint.is_empty(), "{error:?}");
    }
    // Without a model the passages are still there.
    let passages = AskRequest { no_answer: true, ..question("What is the rent?") };
    let found = world.app.ask(&passages, |_| {}, &cancel).await.unwrap();
    assert_eq!(found.passages.len(), 1);
}

/// Overwrites part of a catalogue as a failing disk would.
fn damage(path: &Path, from: usize, length: usize) {
    // In the file itself, not in the log beside it.
    let raw = rusqlite::Connection::open(path).unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(raw);
    let mut bytes = std::fs::read(path).unwrap();
    let end = bytes.len().min(from + length);
    bytes[from..end].fill(0xa5);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_catalogue_comes_back_from_its_copy_and_follows_the_disk() {
    let world = World::new(None, &[RENT, ("boat.md", "The boat is blue.")]).await;
    std::fs::write(world.path("boat.md"), "The ship is green.").unwrap();
    world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    let file = world.catalogue();
    damage(&file, 0, 4096);
    let world = world.restart().unwrap();
    world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    assert_eq!(world.found("rent").await, ["rent.md"]);
    assert_eq!(world.found("ship").await, ["boat.md"]);
    assert!(world.found("blue").await.is_empty());
    assert!(file.with_extension("damaged.sqlite").exists(), "the damaged file is set aside");
}

#[tokio::test]
async fn damage_that_is_found_later_is_repaired_by_the_next_start() {
    let world = World::new(None, &[RENT]).await;
    let file = world.catalogue();
    damage(&file, 4096 * 4, 4096 * 12);
    let world = world.restart().unwrap();
    let checks = world.app.doctor().await;
    let catalogue = checks.iter().find(|check| check.name == "catalogue").unwrap();
    assert!(!catalogue.ok && !catalogue.hint.is_empty(), "{catalogue:?}");
    let world = world.restart().unwrap();
    assert!(world.app.doctor().await.iter().any(|check| check.name == "catalogue" && check.ok));
    assert_eq!(world.found("rent").await, ["rent.md"]);
}

#[tokio::test]
async fn without_a_copy_a_damaged_catalogue_is_left_alone_and_the_way_out_is_said() {
    let world = World::new(None, &[]).await;
    let file = world.catalogue();
    damage(&file, 0, 4096);
    let before = std::fs::read(&file).unwrap();
    let error = world.opened_again().map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Library);
    assert!(error.hint.contains("catalog.sqlite"), "{error:?}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_catalogue_is_not_replaced_while_another_process_writes() {
    let world = World::new(None, &[RENT]).await;
    let lock = lectern_ingest::LibraryLock::try_acquire(world.catalogue().parent().unwrap());
    damage(&world.catalogue(), 0, 4096);
    let error = world.opened_again().map(|_| ()).unwrap_err();
    assert!(error.hint.contains("Close every copy"), "{error:?}");
    drop(lock);
}

#[tokio::test]
async fn a_second_process_joins_the_first() {
    let world = World::new(None, &[RENT]).await;
    let second = world.opened_again().unwrap();
    world.app.work_in_background();
    let other = world.directory.path().canonicalize().unwrap().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("boat.md"), "The boat is blue.").unwrap();
    // Until the first has begun, the second is the one who works; either is right.
    second.add(std::slice::from_ref(&other)).await.unwrap();
    second.work_until_idle(&CancellationToken::new()).await.ok();
    let states = second.files().unwrap();
    assert!(states.iter().all(|file| file.state == FileState::Ready), "{states:?}");
    assert_eq!(world.found("boat").await, ["boat.md"]);
    world.app.shutdown();
}

#[tokio::test]
async fn what_is_deleted_is_gone_from_the_next_query_and_what_is_away_is_not() {
    let files = [RENT, ("sub/boat.md", "The boat is blue."), ("sub/car.md", "The car is red.")];
    let world = World::new(None, &files).await;
    std::fs::remove_file(world.path("rent.md")).unwrap();
    assert!(world.found("rent").await.is_empty());
    assert_eq!(world.found("boat").await, ["boat.md"]);
    std::fs::remove_dir_all(world.path("sub")).unwrap();
    assert!(world.found("boat").await.is_empty());
    // A folder that cannot be found may lie on a drive that is not connected.
    std::fs::remove_dir_all(world.path("")).unwrap();
    assert_eq!(world.found("car").await, ["car.md"]);
}

#[tokio::test]
async fn a_password_opens_a_file_once_and_is_kept_nowhere() {
    let world = World::new(None, &[RENT]).await;
    let path = world.path("locked.zip");
    let locked = include_bytes!("../../extract/tests/data/locked.zip");
    std::fs::write(&path, locked).unwrap();
    let work = async || world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    work().await;
    let state = || {
        let files = world.app.files().unwrap();
        let file = files.iter().find(|file| file.path.ends_with("locked.zip/note.txt")).unwrap();
        (file.state, file.needs)
    };
    let needs_password = (FileState::Failed, Some(FileNeed::Password));
    assert_eq!(state(), needs_password);
    let refused = [("locked.zip", "wrong", "password"), ("rent.md", "secret", "kind")];
    for (name, password, why) in refused {
        let error = world.app.unlock(&world.path(name), password).await.unwrap_err();
        assert!(error.message.contains(why) && !error.hint.is_empty(), "{error:?}");
    }
    assert_eq!(state(), needs_password);
    world.app.unlock(&path, "secret").await.unwrap();
    work().await;
    assert_eq!(state(), (FileState::Ready, None));
    assert_eq!(world.found("heron").await, ["note.txt"]);
    // A copy has the same content, and a changed file asks again.
    std::fs::copy(&path, world.path("copy.zip")).unwrap();
    let mut changed = locked.to_vec();
    changed.extend([0; 4]);
    std::fs::write(&path, changed).unwrap();
    work().await;
    assert_eq!(state(), needs_password);
    assert_eq!(world.found("heron").await, ["note.txt"]);
    for entry in std::fs::read_dir(world.directory.path().join("library")).unwrap() {
        let file = entry.unwrap().path();
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert!(!bytes.windows(6).any(|found| found == b"secret"), "{}", file.display());
    }
}

#[tokio::test]
async fn waiting_ends_only_when_the_process_that_works_is_at_rest() {
    let world = World::new(None, &[RENT, ("empty.md", "")]).await;
    // Without an embedder its vectors would wait for ever.
    world.app.remove(&[world.path("rent.md")]).unwrap();
    world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    let library = world.directory.path().join("library");
    let lock = lectern_ingest::LibraryLock::try_acquire(&library).unwrap().unwrap();
    let second = world.opened_again().unwrap();
    let cancel = CancellationToken::new();
    let waiting = second.work_until_idle(&cancel);
    tokio::pin!(waiting);
    // That it goes on waiting is no event, so some time stands for it.
    let a_while = Duration::from_secs(2);
    assert!(tokio::time::timeout(a_while, &mut waiting).await.is_err(), "it works");
    // At rest, and not everything is done yet: it is about to begin.
    world.app.remove(&[world.path("empty.md")]).unwrap();
    lock.rest();
    assert!(tokio::time::timeout(a_while, &mut waiting).await.is_err(), "it has to forget");
    drop(lock);
    waiting.await.unwrap();
    assert!(world.app.forgotten(&world.path("empty.md")).await.unwrap().iter().all(|c| c.ok));
}

#[tokio::test]
async fn rules_take_effect_at_the_next_query() {
    let world = World::new(None, &[RENT, ("drafts/boat.md", "The boat is blue.")]).await;
    let folder = world.path("");
    let rules = |ignore: &[&str], kinds: &[&str]| lectern_app::FolderRules {
        ignore: ignore.iter().map(ToString::to_string).collect(),
        kinds: kinds.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    world.app.set_rules(&folder, &rules(&["drafts/"], &[])).await.unwrap();
    assert!(world.found("boat").await.is_empty());
    assert_eq!(world.app.rules(&folder).unwrap().ignore, ["drafts/"]);
    world.app.set_rules(&folder, &rules(&[], &[])).await.unwrap();
    world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    assert_eq!(world.found("boat").await, ["boat.md"]);
    for wrong in [rules(&["a{b"], &[]), rules(&[], &["exe"])] {
        let error = world.app.set_rules(&folder, &wrong).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput, "{wrong:?}");
    }
    let unknown = world.app.set_rules(&world.path("drafts"), &rules(&[], &[])).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn nothing_is_left_of_what_was_forgotten() {
    let world = World::new(None, &[RENT, ("drafts/boat.md", "The boat is blue.")]).await;
    let bad = |checks: &[lectern_app::Check]| -> Vec<String> {
        checks.iter().filter(|check| !check.ok).map(|check| check.name.clone()).collect()
    };
    let folder = world.path("");
    assert_eq!(bad(&world.app.forgotten(&folder).await.unwrap()), ["files"]);
    world.app.remove(std::slice::from_ref(&folder)).unwrap();
    let left = bad(&world.app.forgotten(&folder).await.unwrap());
    assert_eq!(left, ["texts", "search index", "traces"]);
    world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    let checks = world.app.forgotten(&folder).await.unwrap();
    assert!(bad(&checks).is_empty(), "{checks:?}");
}

#[tokio::test]
async fn a_paused_folder_waits_and_a_cancelled_file_is_read_when_asked_for() {
    let world = World::new(None, &[RENT]).await;
    let (folder, cancel) = (world.path(""), CancellationToken::new());
    let write = |text: &str| std::fs::write(world.path("boat.md"), text).unwrap();
    write("The boat is blue.");
    world.app.set_folder_paused(&folder, true).unwrap();
    world.app.work_until_idle(&cancel).await.ok();
    assert!(world.found("boat").await.is_empty());
    // The other file may be looked at once more, so shortly after it was written.
    let waiting = world.app.status(false).unwrap().pending;
    assert!(waiting >= 1);
    assert_eq!(world.app.call_off(Some(&folder)).unwrap(), waiting);
    world.app.set_folder_paused(&folder, false).unwrap();
    world.app.work_until_idle(&cancel).await.ok();
    assert!(world.found("boat").await.is_empty(), "it was called off");
    assert_eq!(world.app.retry(Some(&folder)).unwrap(), waiting);
    world.app.work_until_idle(&cancel).await.ok();
    assert_eq!(world.found("boat").await, ["boat.md"]);
}

#[tokio::test]
async fn what_became_of_a_source_since_it_was_quoted_is_known() {
    let speaker = Speaker { reply: "The rent is 900 euros [1].", endless: false };
    let world = World::new(Some(speaker), &[RENT]).await;
    let (request, cancel) = (question("What is the rent?"), CancellationToken::new());
    let citation = world.app.ask(&request, |_| (), &cancel).await.unwrap().citations.remove(0);
    assert_eq!(citation.content.as_deref().map(str::len), Some(64));
    let path = world.path("rent.md");
    let quoted =
        Quoted { document: citation.document, content: citation.content, quote: citation.quote };
    let now = |quoted: &Quoted| {
        let SourceNow { state, document } =
            world.app.sources_now(std::slice::from_ref(quoted)).unwrap().remove(0);
        (state, Path::new(&document).file_name().unwrap().to_str().unwrap().to_owned())
    };
    let here = |state| (state, "rent.md".to_owned());
    let work = async || world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    assert_eq!(now(&quoted), here(SourceState::Same));
    let written = [
        ("# Lease\n\nNew. The rent is 900 euros. It is due.", SourceState::Changed),
        ("# Lease\n\nThe rent is 950 euros now, dogs included.", SourceState::QuoteGone),
        (RENT.1, SourceState::Same),
    ];
    for (text, state) in written {
        std::fs::write(&path, text).unwrap();
        work().await;
        assert_eq!(now(&quoted), here(state), "{text}");
    }
    // An answer from before that was kept knows its words only.
    assert_eq!(now(&Quoted { content: None, ..quoted.clone() }), here(SourceState::Same));
    std::fs::rename(&path, world.path("moved.md")).unwrap();
    assert_eq!(now(&quoted), here(SourceState::Missing));
    work().await;
    assert_eq!(now(&quoted), (SourceState::Moved, "moved.md".to_owned()));
    world.app.remove(&[world.path("moved.md")]).unwrap();
    work().await;
    assert_eq!(now(&quoted), here(SourceState::Removed));
}

#[tokio::test]
async fn a_kept_answer_knows_where_and_in_which_manner_it_was_asked_for() {
    let speaker = Speaker { reply: "The rent is 900 euros [1].", endless: false };
    let world = World::new(Some(speaker), &[RENT]).await;
    let filter = Filter { kinds: vec!["md".into()], ..Filter::default() };
    let manner = Some(Manner::Language("Deutsch".into()));
    let request =
        AskRequest { filter: filter.clone(), manner: manner.clone(), ..question("The rent?") };
    let answer = world.app.ask(&request, |_| (), &CancellationToken::new()).await.unwrap();
    let kept = world.app.conversation(answer.conversation.unwrap()).unwrap().answers.remove(0);
    assert_eq!((kept.filter, kept.manner), (filter, manner));
}

#[tokio::test]
async fn the_history_tells_in_the_words_of_every_face() {
    let world = World::new(None, &[RENT, ("torn.pdf", "%PDF-1.7 torn")]).await;
    let history = || world.app.history(None, 10).unwrap();
    let failed = history().into_iter().find(|entry| entry.kind == HistoryKind::Failed).unwrap();
    assert!(failed.path.unwrap().ends_with("torn.pdf") && failed.reason_code.is_some());
    assert!(chrono::DateTime::parse_from_rfc3339(&failed.at).is_ok(), "{}", failed.at);
    world.app.remove(&[world.path("rent.md")]).unwrap();
    let last = history().remove(0);
    assert_eq!((last.kind, last.path, last.files), (HistoryKind::Forgotten, None, Some(1)));
    world.app.delete_everything().unwrap();
    assert!(history().is_empty());
}

#[tokio::test]
async fn a_link_leads_to_a_passage_of_the_library_and_nowhere_else() {
    let speaker = Speaker { reply: "The rent is 900 euros [1].", endless: false };
    let world = World::new(Some(speaker), &[RENT]).await;
    let (request, cancel) = (question("What is the rent?"), CancellationToken::new());
    let cited = world.app.ask(&request, |_| (), &cancel).await.unwrap().citations.remove(0);
    let link = |document: &str| {
        let content = cited.content.as_deref().unwrap();
        let (start, end) = (cited.start, cited.end);
        format!("lectern://open?document={document}&start={start}&end={end}&content={content}")
    };
    let follow = |link: &str| world.app.linked(link).map(|led| (led.document, led.quote));
    let quote = "The rent is 900 euros.".to_owned();
    assert_eq!(follow(&link(&cited.document)).unwrap(), (cited.document.clone(), quote.clone()));
    // The person moves the file, then changes it.
    let work = async || world.app.work_until_idle(&CancellationToken::new()).await.unwrap();
    let moved = world.path("moved.md");
    std::fs::rename(world.path("rent.md"), &moved).unwrap();
    work().await;
    let there = moved.to_str().unwrap().to_owned();
    assert_eq!(follow(&link(&cited.document)).unwrap(), (there.clone(), quote));
    std::fs::write(&moved, "# Lease\n\nAll is new here.").unwrap();
    work().await;
    assert_eq!(follow(&link(&there)).unwrap(), (there, String::new()));
    let refused = [
        (link("/etc/passwd"), ErrorCode::NotFound),
        ("lectern://remove?document=/etc/passwd".to_owned(), ErrorCode::InvalidInput),
    ];
    for (link, code) in refused {
        assert_eq!(follow(&link).unwrap_err().code, code, "{link}");
    }
}
