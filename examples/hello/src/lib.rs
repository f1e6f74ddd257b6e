//! The smallest flow
