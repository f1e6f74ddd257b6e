//! Model clients: providers, credentials, prices and replay
