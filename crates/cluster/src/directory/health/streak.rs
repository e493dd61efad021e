//! Readiness from successes and failures in a row.

/// Ready or not, and how many results in a row said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Streak {
    ready: bool,
    against: u32,
}

impl Streak {
    /// Counts a result; whether readiness changed.
    pub(super) fn count(&mut self, success: bool, rise: u32, fall: u32) -> bool {
        if success == self.ready {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let needed = if success { rise } else { fall };
        if self.against < needed {
            return false;
        }
        *self = Self {
            ready: success,
            against: 0,
        };
        true
    }

    pub(super) fn is_ready(self) -> bool {
        self.ready
    }
}

#[cfg(test)]
mod tests;
