//! The chunk index on LanceDB: the one crate that sees LanceDB and Arrow.
