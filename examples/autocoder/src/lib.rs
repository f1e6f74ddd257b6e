//! An agent that analyses a source tree and changes it
