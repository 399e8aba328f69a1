//! Pages of lists.

/// Most rows of a page, and the size of one that is not asked for (contract §7).
pub const LARGEST: u32 = 1000;
/// Rows of a page when the request does not say.
pub const USUAL: u32 = 100;

/// The part of a list that a request asks for: up to `size` rows after `after`, in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// Most rows, 1 to [`LARGEST`].
    pub size: u32,
    /// The last row of the page before; `None` begins at the beginning.
    pub after: Option<K>,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page<T, K> {
    /// The rows.
    pub rows: Vec<T>,
    /// The last of them, when there are more.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// Makes a page of up to `size` rows out of `size` + 1, the last of which only tells that there are more.
    pub fn cut(mut rows: Vec<T>, size: u32, key: impl Fn(&T) -> K) -> Self {
        let size = size as usize;
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| more).map(key);
        Self { rows, next }
    }

    /// The page with each row made into another.
    pub fn map<U, E>(self, each: impl FnMut(T) -> Result<U, E>) -> Result<Page<U, K>, E> {
        Ok(Page { rows: self.rows.into_iter().map(each).collect::<Result<_, E>>()?, next: self.next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_last_row_only_when_more_follow() {
        for (rows, expected, next) in
            [(vec![], vec![], None), (vec![1, 2], vec![1, 2], None), (vec![1, 2, 3], vec![1, 2], Some(2))]
        {
            let page = Page::cut(rows, 2, |row| *row);
            assert_eq!((page.rows, page.next), (expected, next));
        }
    }
}
