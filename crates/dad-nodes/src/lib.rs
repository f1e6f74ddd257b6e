//! The built-in nodes: AI model call, folder analyzer, file operation and command
