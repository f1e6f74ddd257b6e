//! Prompts, printers and live progress for the terminal
