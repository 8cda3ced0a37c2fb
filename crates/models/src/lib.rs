//! The catalogue of models: what there is, where it lies, and whether it is whole.
