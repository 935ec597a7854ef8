//! Owns: pools by memory node: where a thread stands, and which pool that means. Never moves a batch between nodes, never pins a thread.
//! Limits: the node is asked for at each request, so a thread that the system moves changes its pool; where the system does not tell,
//! everything is one node.

use std::boxed::Box;
use std::sync::OnceLock;
use std::vec::Vec;

use crate::batch::BatchLen;
use crate::cpu;
use crate::error::PoolError;
use crate::pool::{CapacityUsage, DEFAULT_BATCHES, SoaPool};
use crate::sharded::{ShardedPool, SharedSoa};

/// Tells at which memory node the calling thread stands. Tests bring their own.
///
/// It is asked once at each request, before anything is taken, and may say what it likes: a number that has no pool, numbers with gaps between them,
/// another one each time. [`pool_of_node`] makes an index of every answer. A batch goes back to the pool it came from, whatever is said by then;
/// a panic passes through the request and has taken nothing.
pub trait NodeSource {
    /// The node, or nothing where the system does not tell.
    fn current_node(&self) -> Option<usize>;
}

/// What the system says: on Linux on x86-64 the processor itself knows, one instruction; elsewhere nothing.
#[derive(Debug, Clone, Copy)]
pub struct SystemNodes {
    told: bool,
}

impl SystemNodes {
    /// Asks once whether the system tells.
    pub fn new() -> Self {
        Self { told: cpu::node::is_told() }
    }
}

impl Default for SystemNodes {
    fn default() -> Self {
        Self::new()
    }
}

impl NodeSource for SystemNodes {
    #[inline]
    fn current_node(&self) -> Option<usize> {
        self.told.then(|| cpu::node::current() as usize)
    }
}

/// Which of `pools` pools a thread at `node` uses. The whole policy, so that a table can test it.
///
/// One pool, or a system that does not tell: the first. A node beyond the pools shares them round robin.
pub const fn pool_of_node(node: Option<usize>, pools: usize) -> usize {
    match node {
        Some(node) if pools > 1 => node % pools,
        _ => 0,
    }
}

/// One pool for each memory node, made by the first thread of that node that asks, so that its pages are that node's.
///
/// **Layout.** Each pool is an allocation of its own; a batch lies where the first thread to touch its page stands. **Cost.** Reading the
/// node takes about 20 cycles; then as [`ShardedPool`]. An empty pool is helped out by the others: a far batch is better
/// than none.
///
/// ```
/// use bolt_triple::NumaPool;
/// let pool: NumaPool = NumaPool::new(2);
/// let soa = pool.get_soa(8)?;
/// assert_eq!(pool.capacity_usage().soa_buffers_in_use, 1);
/// # drop(soa);
/// # Ok::<(), bolt_triple::PoolError>(())
/// ```
#[derive(Debug)]
pub struct NumaPool<S: NodeSource = SystemNodes, const N: usize = DEFAULT_BATCHES> {
    source: S,
    pools: Vec<OnceLock<Box<ShardedPool<1, N>>>>,
}

impl<const N: usize> NumaPool<SystemNodes, N> {
    /// A pool for each of `nodes` nodes (at least one), as the system tells them.
    pub fn new(nodes: usize) -> Self {
        Self::with_source(nodes, SystemNodes::new())
    }
}

impl<S: NodeSource, const N: usize> NumaPool<S, N> {
    /// The same with somebody else's word for the nodes.
    pub fn with_source(nodes: usize, source: S) -> Self {
        Self { source, pools: (0..nodes.max(1)).map(|_| OnceLock::new()).collect() }
    }

    /// The pool the calling thread uses: an index below [`nodes`](Self::nodes).
    #[inline]
    pub fn home(&self) -> usize {
        pool_of_node(self.source.current_node(), self.pools.len())
    }

    /// How many pools there are.
    pub fn nodes(&self) -> usize {
        self.pools.len()
    }

    /// A batch of `len` triples, whose words are leftovers, from the calling thread's node if it has one.
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`] above eight; [`PoolError::ExhaustedCapacity`] when no node has a batch left. If fewer are in use than there are, the
    /// rest lies ready near other threads and was asked for: try again later.
    pub fn get_soa(&self, len: usize) -> Result<SharedSoa<'_, N>, PoolError> {
        BatchLen::new(len)?;
        let (before, from_home) = self.pools.split_at(self.home());
        let mut all_in_use = 0;
        for pool in from_home.iter().chain(before) {
            let pool = pool.get_or_init(|| Box::new(ShardedPool::new()));
            match pool.get_soa_near(0, len) {
                Err(PoolError::ExhaustedCapacity { in_use, .. }) => all_in_use += in_use,
                served => return served,
            }
        }
        Err(PoolError::ExhaustedCapacity { in_use: all_in_use, total: self.pools.len() * N })
    }

    /// How much is in use over all nodes; a pool nobody has used yet counts as free.
    pub fn capacity_usage(&self) -> CapacityUsage {
        let mut usage = CapacityUsage::default();
        for node in 0..self.nodes() {
            usage = usage.plus(self.usage_of(node));
        }
        usage
    }

    /// How much of one node's pool is in use.
    pub fn usage_of(&self, node: usize) -> CapacityUsage {
        match self.pools.get(node).and_then(OnceLock::get) {
            Some(pool) => pool.capacity_usage(),
            None => CapacityUsage::idle(N),
        }
    }
}

impl<S: NodeSource, const N: usize> SoaPool for NumaPool<S, N> {
    type Guard<'p>
        = SharedSoa<'p, N>
    where
        Self: 'p;

    fn get_soa(&self, len: usize) -> Result<SharedSoa<'_, N>, PoolError> {
        NumaPool::get_soa(self, len)
    }

    fn capacity_usage(&self) -> CapacityUsage {
        NumaPool::capacity_usage(self)
    }
}
