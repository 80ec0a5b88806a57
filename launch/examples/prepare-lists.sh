#!/bin/sh
# Makes train.csv and valid.csv for msweb-lists.toml and ml1m-lists.toml from the files of a data
# set that you have fetched: which of two items belongs to a list of others? A line is
#   label,item,others
# with label 1 for an item that the person has, and 0 for one that the person has not, drawn as
# often as the training file has it: so popularity alone tells nothing.
#   prepare-lists.sh msweb|ml1m_m1 SOURCE OUT
# SOURCE has anonymous-msweb.{data,test}.xz (UCI, "Anonymous Microsoft Web Data"), or
# train.txt.xz and test.txt.xz of Movielens1M_m1 (a line per person: the person, then the items).
set -eu
if [ $# -ne 3 ]; then
  sed -n '2,9p' "$0" >&2
  exit 2
fi
name=$1 source=$2 out=$3
mkdir -p "$out"
# shellcheck disable=SC2016  # $0 is awk's
case $name in
  # A visit is a line of its own, which belongs to the person of the last line C: make lists.
  msweb) train=anonymous-msweb.data.xz test=anonymous-msweb.test.xz
    lists='/^C,/ { if (NR > 1 && has) print line; line = substr($0, 1, 1); has = 0 }
           /^V,/ { split($0, cell, ","); line = line " " cell[2]; has = 1 }
           END { print line }' ;;
  ml1m_m1) train=train.txt.xz test=test.txt.xz lists='{ print }' ;;
  *) echo "expected msweb or ml1m_m1: found $name" >&2; exit 2 ;;
esac
for part in "$train" "$test"; do
  if [ ! -r "$source/$part" ]; then
    echo "$source/$part: expected this file: found none" >&2
    exit 2
  fi
done
{
  xz -dc "$source/$train" | awk "$lists"
  echo test
  xz -dc "$source/$test" | awk "$lists"
} | awk -v name="$name" -v out="$out" '
  function draw(n) { seed = (seed * 16807) % 2147483647; return seed % n }
  # The items [from, from + n) of a list of `size`, which goes round; without the item `left_out`.
  function some(list, size, from, n, left_out,   i, text, item) {
    text = ""
    for (i = 0; i < n && i < size; ++i) {
      item = list[(from + i) % size]
      if (item != left_out) { text = text (text == "" ? "" : " ") item }
    }
    return text
  }
  # An item that is not among those of the person.
  function other(   item) {
    do { item = all[draw(total)] } while (item in own)
    return item
  }
  function write(file, item, others) {
    if (others == "") { return }
    print "1," item "," others > file
    print "0," other() "," others > file
  }
  BEGIN { seed = 1; most = 60; total = 0 }
  $1 == "test" { testing = 1; person = 0; next }
  !testing { text[trained++] = $0; for (i = 2; i <= NF; ++i) { all[total++] = $i }; next }
  { tested[person++] = $0 }
  END {
    for (p = 0; p < trained; ++p) {
      n = split(text[p], cell, " ") - 1
      split("", own); split("", list)
      for (i = 0; i < n; ++i) { list[i] = cell[i + 2]; own[list[i]] = 1 }
      for (t = 0; t < n && t < 6; ++t) {
        target = name == "msweb" ? t : draw(n)
        write(out "/train.csv", list[target], some(list, n, target, most, list[target]))
      }
      if (name == "ml1m_m1") {  # the same people: an item of the test file beside those of training
        size = split(tested[p], later, " ")
        for (i = 2; i <= size; ++i) { own[later[i]] = 1 }
        write(out "/valid.csv", later[2 + draw(size - 1)], some(list, n, draw(n), most, ""))
      }
    }
    for (p = 0; p < person && name == "msweb"; ++p) {  # other people: the last visit is hidden
      n = split(tested[p], cell, " ") - 1
      split("", own); split("", list)
      for (i = 0; i < n; ++i) { list[i] = cell[i + 2]; own[list[i]] = 1 }
      write(out "/valid.csv", list[n - 1], some(list, n, 0, most, list[n - 1]))
    }
  }'
wc -l "$out/train.csv" "$out/valid.csv" | sed '$d'
