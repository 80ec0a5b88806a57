#include "io/data_keys.hpp"

namespace keyshard {
namespace {

constexpr KeyMeaning kDataKeys[] = {
    {"format", "",
     "what the files are: lines of text, HDF5 files of `keyshard convert`, or none, with records "
     "that [data.generator] describes"},
    {"folder", "path", "from which relative paths of `train`, `valid` and `test` are taken"},
    {"train", "paths", "files, folders and patterns of the records to train on"},
    {"valid", "paths", "the same of the records to evaluate while training"},
    {"test", "paths", "the same of records that only `evaluate` and `predict` read"},
    {"split", "", "shares of the records of `train` that are kept apart",
     "{ valid = 0.1, test = 0.1 }"},
    {"separator", "", "what stands between two cells of a line"},
    {"header", "", "whether the first line of each file names the columns"},
    {"trim", "", "whether blanks around cells, and around the ids of a list, are dropped"},
    {"quote", "", "whether a cell in double quotes may hold separators"},
    {"skip_lines", "lines", "left out at the start of every file, before the header"},
    {"train_skip_lines", "lines", "the same for the files of `train` alone"},
    {"valid_skip_lines", "lines", "the same for the files of `valid` alone"},
    {"test_skip_lines", "lines", "the same for the files of `test` alone"},
    {"missing", "", "texts of a cell that has no value, of all columns"},
    {"max_bad_lines", "lines",
     "the job ends when an epoch has more lines that cannot be read, on all ranks together"},
    {"order", "",
     "how records are read: `blocks` of plain files, whole `files`, one `stream` that every rank "
     "unpacks, or what fits the files"},
    {"window", "records", "of a slice that are shuffled together"},
    {"shuffle", "", "whether records are trained in another order each epoch"},
    {"memory_bytes", "bytes",
     "compressed files of a split that unpack to this much at most are read from memory"},
    {"block_bytes", "bytes", "of a text file that are read, and shuffled, as one block"},
    {"generator", "", "the click log of format = \"generated\""},
    {"columns", "", "one table per column that is used"},
};

constexpr KeyTable kData{"Data",
                         "Relative paths are taken from `folder`, and that one from the folder of "
                         "the configuration. docs/data.md says how files are found and read.",
                         kDataKeys};

constexpr KeyMeaning kSplitKeys[] = {
    {"valid", "share", "of the records of data.train that become validation data"},
    {"test", "share", "of the records of data.train that become test data"},
    {"by", "names of columns", "records with equal cells in these columns stay in one split"},
    {"seed", "", "another seed is another choice"},
};

constexpr KeyTable kSplit{"Split",
                          "A hash of the file's name and the record's number chooses, so the "
                          "choice is the same on any number of ranks.",
                          kSplitKeys};

constexpr KeyMeaning kGeneratorKeys[] = {
    {"records", "records", "to train on"},
    {"valid_records", "records", "of validation data"},
    {"features", "columns", "of ids"},
    {"ragged", "columns", "of ids, the last of `features`, that hold a list of 0 to 8 ids"},
    {"dense", "columns", "of numbers"},
    {"vocabulary", "ids", "of each column"},
    {"zipf", "", "exponent of the frequencies of ids"},
    {"seed", "", "another seed is another log"},
};

constexpr KeyTable kGenerator{
    "Generator",
    "A planted click log, made in memory: columns C1, C2, ... of ids and I1, I2, ... of numbers.",
    kGeneratorKeys};

constexpr KeyMeaning kColumnKeys[] = {
    {"name", "", "of the column: in the header, or any where it has an index"},
    {"index", "columns", "before this one; needed where the files have no header"},
    {"role", "", "what the column is"},
    {"table", "",
     "name of the table that the ids read, by default that of the column; columns that name one "
     "table share its rows"},
    {"missing", "", "texts of a cell without a value, in place of those of [data]", "[\"?\"]"},
    {"positive", "",
     "cells that count as 1; all others count as 0, but one of these numbers in another spelling "
     "is a bad line; empty: the label is the number"},
    {"transform", "", "of a number x: none, sign(x) log(1 + abs(x)), or (x - mean) / stddev"},
    {"mean", "", "of transform = \"standard\""},
    {"stddev", "", "of transform = \"standard\", not 0"},
    {"fill", "", "what a missing number reads as, after the transform"},
    {"buckets", "",
     "ascending boundaries; the column becomes an id, the number of boundaries <= x"},
    {"type", "", "of ids: whole numbers of 64 bits, or strings, which are hashed"},
    {"hash", "",
     "of strings: xxh3 (the default), seeded with the name of the table, or farmhash64, that of "
     "TensorFlow",
     "\"farmhash64\""},
    {"on_missing", "", "whether a missing id is none, or an id of its own"},
    {"list_separator", "", "between the items of a cell"},
    {"max_length", "ids", "of a cell that are kept; 0: all"},
    {"padding_id", "", "an id that is in no bag, as it stands in the text", "\"<pad>\""},
    {"id_weights", "name of a column",
     "whose items are the weights of the ids, for combiner sum, mean and sqrtn", "\"COLUMN\""},
    {"mask", "name of a column", "whose items say which ids count: 1, or 0 for one that does not",
     "\"COLUMN\""},
};

constexpr KeyTable kColumn{"Columns", "", kColumnKeys};

}  // namespace

const KeyTable& data_keys() { return kData; }

const KeyTable& split_keys() { return kSplit; }

const KeyTable& generator_keys() { return kGenerator; }

const KeyTable& column_keys() { return kColumn; }

}  // namespace keyshard
