//! Measures retrieval and answers on question sets.
