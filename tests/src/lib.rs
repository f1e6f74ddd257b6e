//! End-to-end, crash, compatibility and command-line tests
