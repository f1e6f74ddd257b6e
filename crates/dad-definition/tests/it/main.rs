//! Loading, building and compiling, seen from outside.

mod building;
mod compiling;
mod hostile;
mod includes;
mod loading;
mod problems;
mod registry;
mod round_trip;
