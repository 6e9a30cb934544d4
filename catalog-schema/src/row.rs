//! From a row's columns to checked values.

use crate::error::CatalogError;
use std::fmt::Display;
use std::str::FromStr;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSqlOwned, Type};
use uuid::Uuid;

/// Reads columns by name. A value that its type does not accept is [`CatalogError::Corrupt`].
pub(crate) trait Columns {
    /// A value as the driver gives it.
    fn value<T: FromSqlOwned>(&self, column: &str) -> Result<T, CatalogError>;

    /// Text that is a checked name or a word of an enumeration.
    fn word<T>(&self, column: &str) -> Result<T, CatalogError>
    where
        T: FromStr,
        T::Err: Display,
    {
        parse(column, &self.value::<String>(column)?)
    }

    /// Like [`Self::word`], for a column that may be null.
    fn word_opt<T>(&self, column: &str) -> Result<Option<T>, CatalogError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.value::<Option<String>>(column)?.map(|text| parse(column, &text)).transpose()
    }

    /// A list of such words.
    fn words<T>(&self, column: &str) -> Result<Vec<T>, CatalogError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.value::<Vec<String>>(column)?.iter().map(|text| parse(column, text)).collect()
    }

    /// A typed id.
    fn id<T: From<Uuid>>(&self, column: &str) -> Result<T, CatalogError> {
        self.value::<Uuid>(column).map(T::from)
    }

    /// A typed id, for a column that may be null.
    fn id_opt<T: From<Uuid>>(&self, column: &str) -> Result<Option<T>, CatalogError> {
        Ok(self.value::<Option<Uuid>>(column)?.map(T::from))
    }

    /// A whole number that must fit `T`.
    fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, CatalogError> {
        self.number_opt(column)?.ok_or_else(|| CatalogError::corrupt(column, "it is missing"))
    }

    /// A whole number that must fit `T`, for a column that may be null.
    fn number_opt<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, CatalogError>;
}

impl Columns for Row {
    fn value<T: FromSqlOwned>(&self, column: &str) -> Result<T, CatalogError> {
        self.try_get(column).map_err(|why| CatalogError::corrupt(column, why))
    }

    fn number_opt<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, CatalogError> {
        let narrow = self.columns().iter().any(|c| c.name() == column && *c.type_() == Type::INT4);
        let number = if narrow {
            self.value::<Option<i32>>(column)?.map(i64::from)
        } else {
            self.value::<Option<i64>>(column)?
        };
        let fit = |number| {
            T::try_from(number)
                .map_err(|_| CatalogError::corrupt(column, format!("{number} is out of range")))
        };
        number.map(fit).transpose()
    }
}

fn parse<T>(column: &str, text: &str) -> Result<T, CatalogError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|why| CatalogError::corrupt(column, why))
}
