//! Run LLM agents so that every run is one directory of plain files: readable, repeatable, comparable
