//! What a loop watches of the processes of the system.

pub mod signals;
