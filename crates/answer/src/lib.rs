//! Retrieval, fusion, prompts, citations and the check of each sentence against its source.
