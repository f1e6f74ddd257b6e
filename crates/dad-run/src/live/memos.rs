//! Writing lines of memos.

use dad_core::HierarchyPath;

use crate::error::RunError;
use crate::layout::MEMO;
use crate::live::driver::RunDriver;
use crate::store::memo_file::MemoLine;

impl RunDriver {
    /// A line of the memo of a step, with its line feed: signed, if runs are.
    ///
    /// # Errors
    /// If the exchange is no JSON.
    pub fn memo_line(&self, step: &HierarchyPath, line: &MemoLine) -> Result<Vec<u8>, RunError> {
        let mut text = serde_json::to_vec(line).map_err(|e| RunError::unreadable(MEMO, e))?;
        if let Some(seal) = &self.inner().memo_seal {
            seal.put_on(step, &mut text);
        }
        text.push(b'\n');
        Ok(text)
    }
}
