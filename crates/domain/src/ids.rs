use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A folder that is watched, or a file that was imported by itself.
    FolderId
);
id!(
    /// A file at a path. Several files may hold the same document.
    FileId
);
id!(
    /// One content, read once: the same bytes at two paths are one document.
    /// An edited file is another document; ids are never used again.
    DocumentId
);
id!(
    /// A chunk of one document. Ids are never used again, so an index row whose
    /// id the catalogue does not know is garbage by definition.
    ChunkId
);
id!(
    /// A conversation: questions and answers that build on each other.
    ConversationId
);
