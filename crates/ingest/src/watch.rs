//! Changes on the disk, as they happen.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Programs write a file in several steps; looking after a moment of silence
/// sees the last one.
const QUIET: Duration = Duration::from_millis(200);

/// After so many paths a look at everything is cheaper.
const MANY: usize = 1_000;

/// What has changed since the last look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// These paths: changed, new or gone.
    Paths(BTreeSet<PathBuf>),
    /// Too much, or events were lost: look at everything.
    Everything,
}

/// Watches a changing set of folders.
pub(crate) struct FolderWatch {
    watcher: Option<RecommendedWatcher>,
    events: mpsc::UnboundedReceiver<notify::Result<notify::Event>>,
    /// Watched place → the folder that was named.
    watched: HashMap<PathBuf, RecursiveMode>,
    collected: Collected,
}

impl FolderWatch {
    /// Watches nothing yet.
    pub(crate) fn new() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event| {
            // The receiver is gone only while the program ends.
            let _ = sender.send(event);
        })
        .map_err(|error| tracing::warn!("changes on the disk cannot be watched: {error}"))
        .ok();
        Self { watcher, events, watched: HashMap::new(), collected: Collected::default() }
    }

    /// Watches exactly these places from now on. A file is watched through its
    /// folder, because editors replace files instead of writing into them.
    pub(crate) fn set<'a>(&mut self, places: impl Iterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: HashMap<PathBuf, RecursiveMode> = places
            .filter_map(|place| {
                if place.is_file() {
                    Some((place.parent()?.to_owned(), RecursiveMode::NonRecursive))
                } else {
                    Some((place.to_owned(), RecursiveMode::Recursive))
                }
            })
            .collect();
        self.watched.retain(|place, mode| {
            let keep = wanted.get(place) == Some(mode);
            if !keep && let Err(error) = watcher.unwatch(place) {
                tracing::debug!("{}: {error}", place.display());
            }
            keep
        });
        for (place, mode) in wanted {
            if self.watched.contains_key(&place) {
                continue;
            }
            match watcher.watch(&place, mode) {
                Ok(()) => {
                    self.watched.insert(place, mode);
                }
                Err(error) => tracing::warn!("{} cannot be watched: {error}", place.display()),
            }
        }
    }

    /// Has the next [`FolderWatch::set`] watch a place anew.
    pub(crate) fn forget(&mut self, place: &Path) {
        if let (Some(watcher), Some(_)) = (&mut self.watcher, self.watched.remove(place))
            && let Err(error) = watcher.unwatch(place)
        {
            tracing::debug!("{}: {error}", place.display());
        }
    }

    /// Waits for changes and returns them after a moment of silence. Nothing is
    /// lost when it is dropped before.
    pub(crate) async fn changes(&mut self) -> Changes {
        while self.collected.is_empty() {
            match self.events.recv().await {
                Some(event) => self.collected.add(event),
                // Without a watcher there are no events, ever.
                None => std::future::pending().await,
            }
        }
        while let Ok(Some(event)) = tokio::time::timeout(QUIET, self.events.recv()).await {
            self.collected.add(event);
            if self.collected.paths.len() > MANY {
                break;
            }
        }
        self.collected.take()
    }

    /// The changes that have come already, without waiting.
    pub(crate) fn pending(&mut self) -> Option<Changes> {
        while let Ok(event) = self.events.try_recv() {
            self.collected.add(event);
        }
        (!self.collected.is_empty()).then(|| self.collected.take())
    }
}

/// What has changed and was not yet looked at.
#[derive(Default)]
struct Collected {
    paths: BTreeSet<PathBuf>,
    everything: bool,
}

impl Collected {
    fn add(&mut self, event: notify::Result<notify::Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.everything = true,
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) => self.paths.extend(event.paths),
            Err(error) => {
                tracing::warn!("changes on the disk may have been missed: {error}");
                self.everything = true;
            }
        }
    }

    fn is_empty(&self) -> bool {
        !self.everything && self.paths.is_empty()
    }

    fn take(&mut self) -> Changes {
        let Self { paths, everything } = std::mem::take(self);
        if everything || paths.len() > MANY { Changes::Everything } else { Changes::Paths(paths) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reports_new_changed_and_removed_files_of_the_watched_places_only() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let (inside, outside) = (root.join("in"), root.join("out"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        let mut watch = FolderWatch::new();
        watch.set([inside.as_path()].into_iter());
        std::fs::write(outside.join("x.md"), "x").unwrap();
        let file = inside.join("a.md");
        let steps: [&dyn Fn(); 3] = [
            &|| std::fs::write(&file, "1").unwrap(),
            &|| std::fs::write(&file, "2").unwrap(),
            &|| std::fs::remove_file(&file).unwrap(),
        ];
        for step in steps {
            step();
            assert_eq!(watch.changes().await, Changes::Paths(BTreeSet::from([file.clone()])));
        }
        watch.set([].into_iter());
        std::fs::write(&file, "3").unwrap();
        assert_eq!(watch.pending(), None);
    }
}
