//! The dhenara command, as a library and a binary
