//! A stable sort whose comparison may fail: the standard one may panic when an order is not total.

use std::cmp::Ordering;

use crate::compare;
use crate::error::Result;
use crate::limits::Meter;
use crate::value::Value;

/// The indices of the keys in their order.
pub(crate) fn order_of(meter: &mut Meter, keys: &[Value], reverse: bool) -> Result<Vec<usize>> {
    meter.elements(keys.len() as u64 * 2)?;
    let mut order: Vec<usize> = (0..keys.len()).collect();
    if reverse {
        order.reverse();
    }
    let mut buffer = order.clone();
    merge_sort(meter, keys, &mut order, &mut buffer)?;
    if reverse {
        order.reverse();
    }
    Ok(order)
}

fn merge_sort(meter: &mut Meter, keys: &[Value], order: &mut [usize], buffer: &mut [usize]) -> Result<()> {
    let len = order.len();
    if len < 2 {
        return Ok(());
    }
    let middle = len / 2;
    let (left, right) = order.split_at_mut(middle);
    let (left_buffer, right_buffer) = buffer.split_at_mut(middle);
    merge_sort(meter, keys, left, left_buffer)?;
    merge_sort(meter, keys, right, right_buffer)?;
    let (mut a, mut b) = (left.iter().peekable(), right.iter().peekable());
    for slot in buffer.iter_mut() {
        let from_right = match (a.peek(), b.peek()) {
            (Some(&&x), Some(&&y)) => less(meter, keys, y, x)?,
            (None, _) => true,
            _ => false,
        };
        let next = if from_right { b.next() } else { a.next() };
        if let Some(index) = next {
            *slot = *index;
        }
    }
    order.copy_from_slice(buffer);
    Ok(())
}

fn less(meter: &mut Meter, keys: &[Value], a: usize, b: usize) -> Result<bool> {
    match (keys.get(a), keys.get(b)) {
        (Some(a), Some(b)) => Ok(compare::order(meter, "<", a, b)? == Some(Ordering::Less)),
        _ => Ok(false),
    }
}
