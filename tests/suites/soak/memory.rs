//! How much memory and how many descriptors a process has, over time.

use std::fs;

/// One look at a process.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Resident memory, bytes.
    resident: u64,
    /// Open descriptors.
    descriptors: u32,
}

/// What one process has, sample by sample.
pub(crate) struct Memory {
    process: u32,
    looks: Vec<Look>,
}

/// Means of one third of the samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mean {
    pub(crate) resident: u64,
    pub(crate) descriptors: u32,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Self {
        let mut memory = Self { process, looks: Vec::new() };
        memory.sample();
        memory
    }

    /// Looks, and says how much memory is resident.
    pub(crate) fn sample(&mut self) -> u64 {
        let resident = self.resident();
        self.looks.push(Look { resident, descriptors: self.descriptors() });
        resident
    }

    fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process);
        let status = fs::read_to_string(path).expect("the process is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes: u64 = line
            .and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
            .expect("the kernel tells a process's resident memory in kB");
        kibibytes * 1024
    }

    /// How many descriptors are open now.
    pub(crate) fn descriptors(&self) -> u32 {
        let open = fs::read_dir(format!("/proc/{}/fd", self.process)).expect("the process is alive and ours");
        u32::try_from(open.count()).expect("few")
    }

    pub(crate) fn samples(&self) -> usize {
        self.looks.len()
    }

    pub(crate) fn first(&self) -> u64 {
        self.looks[0].resident
    }

    /// The means of the second and of the last third. The first is for warming up.
    pub(crate) fn thirds(&self) -> (Mean, Mean) {
        let third = self.looks.len() / 3;
        (mean(&self.looks[third..2 * third]), mean(&self.looks[2 * third..]))
    }
}

fn mean(looks: &[Look]) -> Mean {
    let count = u32::try_from(looks.len().max(1)).expect("few");
    Mean {
        resident: looks.iter().map(|look| look.resident).sum::<u64>() / u64::from(count),
        descriptors: looks.iter().map(|look| look.descriptors).sum::<u32>() / count,
    }
}
