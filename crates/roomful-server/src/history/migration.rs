//! The schema of a stored history: numbered steps, forward only, each with the oldest binary that may still use the store.
//!
//! A store keeps two numbers. `schema` is the number of its last step. `readable_by` is the oldest `schema` that a binary has
//! to know to use it: a step that only adds leaves that number alone, a step whose changes an older binary would ignore to
//! somebody's harm raises it. A store that was made before it kept `readable_by` has 1.

/// One step of a store's schema. Steps are never changed once they are released.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The store's schema after this step: one more than before it. The first is 1.
    pub schema: u32,
    /// The oldest schema that a binary has to know to use the store after this step.
    pub readable_by: u32,
    /// What the step does.
    pub sql: &'static str,
}

/// The two numbers that a store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreSchema {
    /// The number of its last step; 0 where it is not made yet.
    pub(super) schema: u32,
    /// The oldest schema that a binary has to know.
    pub(super) readable_by: u32,
}

/// How a store compares with a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// It lacks steps.
    Older,
    /// It has the steps that the binary knows.
    Current,
    /// It has more, and the binary may use it all the same.
    NewerReadable,
    /// It has more, and the binary must not use it.
    NewerUnreadable,
}

impl StoreSchema {
    /// How this store looks to a binary that knows the schema `known`.
    pub(super) fn age(self, known: u32) -> Age {
        match self.schema {
            schema if schema < known => Age::Older,
            schema if schema == known => Age::Current,
            _ if self.readable_by <= known => Age::NewerReadable,
            _ => Age::NewerUnreadable,
        }
    }

    /// What starting would do with it, to go on a sentence that says that it is there.
    pub(super) fn outlook(self, age: Age, known: u32) -> String {
        let found = self.schema;
        match age {
            Age::Older => format!(", its tables will be brought from schema {found} to {known}"),
            Age::Current => String::new(),
            Age::NewerReadable => format!(
                ", a newer roomful brought it to schema {found}; this one knows {known} and may still use it"
            ),
            Age::NewerUnreadable => format!(
                ", but at schema {found} it takes a roomful that knows schema {}",
                self.readable_by
            ),
        }
    }

    /// Says in the log that a newer version was here, and that this one goes on.
    pub(super) fn log_newer(self, known: u32, store: &str) {
        let found = self.schema;
        tracing::warn!(
            found,
            known,
            "a newer roomful brought {store} to schema {found}; this one knows {known} and may still use it"
        );
    }
}

/// All steps that a binary knows, in order.
#[derive(Clone, Debug)]
pub(super) struct Migrations(Vec<Migration>);

impl Migrations {
    /// A store's own steps and those of a later version.
    ///
    /// # Panics
    /// If a number is missing, or `readable_by` is no schema of that time.
    pub(super) fn new(own: &[Migration], later: &[Migration]) -> Self {
        let steps = [own, later].concat();
        for (step, schema) in steps.iter().zip(1..) {
            assert_eq!(step.schema, schema, "migrations are numbered from 1");
            assert!(
                (1..=schema).contains(&step.readable_by),
                "migration {schema} is readable by a schema up to its own"
            );
        }
        Self(steps)
    }

    /// The newest schema they lead to.
    pub(super) fn known(&self) -> u32 {
        self.0.last().map_or(0, |step| step.schema)
    }

    /// The steps after `schema`.
    pub(super) fn after(&self, schema: u32) -> &[Migration] {
        let done = self.0.partition_point(|step| step.schema <= schema);
        &self.0[done..]
    }
}

/// The newest schema in a list of steps.
pub(super) const fn newest(steps: &[Migration]) -> u32 {
    steps[steps.len() - 1].schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_by_decides_for_a_newer_store_alone() {
        let store = |schema, readable_by| StoreSchema {
            schema,
            readable_by,
        };
        assert_eq!(store(0, 1).age(3), Age::Older);
        assert_eq!(store(2, 2).age(3), Age::Older);
        assert_eq!(store(3, 3).age(3), Age::Current);
        assert_eq!(store(5, 3).age(3), Age::NewerReadable);
        assert_eq!(store(5, 4).age(3), Age::NewerUnreadable);
    }

    #[test]
    fn what_is_missing_are_the_steps_after_the_stores_own() {
        let step = |schema, readable_by| Migration {
            schema,
            readable_by,
            sql: "",
        };
        let migrations = Migrations::new(&[step(1, 1), step(2, 1)], &[step(3, 3)]);
        let after = |schema| migrations.after(schema).iter().map(|step| step.schema);

        assert_eq!(migrations.known(), 3);
        assert!(after(0).eq(1..=3));
        assert!(after(2).eq([3]));
        assert_eq!(after(9).count(), 0);
    }

    #[test]
    #[should_panic(expected = "numbered from 1")]
    fn a_list_with_a_hole_is_refused() {
        let step = |schema| Migration {
            schema,
            readable_by: 1,
            sql: "",
        };
        Migrations::new(&[step(1), step(3)], &[]);
    }
}
