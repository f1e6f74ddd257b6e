//! The fragments of the specification in Rust
