//! How much memory a process has, over time.

use std::fs;

/// Resident memory of one process, sample by sample, in bytes.
pub(crate) struct Memory {
    process: u32,
    samples: Vec<u64>,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Self {
        let mut memory = Self { process, samples: Vec::new() };
        memory.sample();
        memory
    }

    pub(crate) fn sample(&mut self) -> u64 {
        let path = format!("/proc/{}/status", self.process);
        let status = fs::read_to_string(path).expect("the process is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes: u64 = line
            .and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
            .expect("the kernel tells a process's resident memory in kB");
        self.samples.push(kibibytes * 1024);
        kibibytes * 1024
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples.len()
    }

    pub(crate) fn first(&self) -> u64 {
        self.samples[0]
    }

    /// The means of the second and of the last third. The first is for warming up.
    pub(crate) fn thirds(&self) -> (u64, u64) {
        let third = self.samples.len() / 3;
        (mean(&self.samples[third..2 * third]), mean(&self.samples[2 * third..]))
    }
}

fn mean(samples: &[u64]) -> u64 {
    samples.iter().sum::<u64>() / u64::try_from(samples.len().max(1)).expect("few")
}
