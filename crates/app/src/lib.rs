//! The use cases of Lectern and the types they speak, over traits alone.
