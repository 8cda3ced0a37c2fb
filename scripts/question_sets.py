#!/usr/bin/env python3
"""Makes question sets that Lectern is measured on, in the form that `lectern eval` reads.

    question_sets.py articles SET FOLDER    long documents out of a set of paragraphs
    question_sets.py filings FOLDER         reports that differ in company and year

`articles` joins each eight paragraphs of one article, whose files are named ARTICLE__NUMBER.txt, into a
document with headings: the article's name, and a number for each four paragraphs. The file's name says nothing,
so a paragraph that does not name its subject has it from the heading alone.

`filings` makes reports of 30 pages in PDF, alike but for the names and the numbers in them: of each of twelve
companies for each of six years. The company's name is in the file's name or on the first page only, as the kind
says (`named/` and `unnamed/`). Every question has one page that answers it.
"""

import json
import random
import sys
import zlib
from pathlib import Path

PARAGRAPHS = 8
OF_A_SECTION = 4

COMPANIES = [
    "Halvorsen Marine", "Quillon Biotech", "Brennick Foods", "Ostrava Steelworks", "Pellucid Optics",
    "Tamarind Energy", "Corvane Logistics", "Ithaca Paper", "Zephyrine Aviation", "Marlowe Textiles",
    "Kestrel Semiconductors", "Dunmore Insurance",
]
YEARS = range(2017, 2023)

# What a report says, by page; the braces are numbers of its own. With the question that it answers.
FACTS = [
    ("Results of operations", "Total revenue came to {n}.{d} million dollars, which compares with the amount reported "
     "for the year before.", "What was the total revenue of {c} in {y}?", "{n}.{d}"),
    ("Human capital", "At the end of the year the Company had {n} full-time employees and {d} part-time ones.",
     "How many full-time employees did {c} have at the end of {y}?", "{n}"),
    ("Research and development", "Expenses for research and development were {n}.{d} million dollars.",
     "How much did {c} spend on research and development in {y}?", "{n}.{d}"),
    ("Properties", "The Company leases {n} thousand square feet of space for offices, under {d} agreements.",
     "How much office space did {c} lease in {y}?", "{n} thousand"),
    ("Liquidity", "Cash and cash equivalents amounted to {n}.{d} million dollars at the balance sheet date.",
     "How much cash did {c} hold at the end of {y}?", "{n}.{d}"),
    ("Income taxes", "The effective tax rate was {d}.{n} percent.",
     "What was the effective tax rate of {c} for {y}?", "{d}.{n} percent"),
    ("Capital expenditures", "Purchases of property, plant and equipment were {n}.{d} million dollars.",
     "What were the capital expenditures of {c} in {y}?", "{n}.{d}"),
    ("Dividends", "The board declared dividends of {d} cents for each share, {n} thousand dollars in all.",
     "What dividend per share did {c} declare for {y}?", "{d} cents"),
]
FILLER = [
    "The Company reviews this matter at each meeting of the board and has found no reason to change its assessment.",
    "Forward-looking statements involve risks and uncertainties, and results may differ from those that are expected.",
    "Management believes that the controls described in this report were effective at the end of the period.",
    "The accompanying notes are an integral part of these statements and should be read together with them.",
    "Certain amounts of earlier periods have been reclassified to agree with the way they are shown now.",
    "Demand depends on conditions that the Company cannot influence, among them the prices of raw materials and energy.",
    "The Company is party to claims that arise in the ordinary course of business; none of them is material.",
    "Insurance is carried against the usual risks, with limits that management considers to be adequate.",
]
SECTIONS = [
    "Business", "Risk factors", "Legal proceedings", "Market for the shares", "Quantitative disclosures about risk",
    "Controls and procedures", "Directors and governance", "Principal accountant", "Exhibits", "Notes to the statements",
    "Segments", "Leases", "Goodwill", "Inventories", "Pension plans", "Share-based payment", "Subsequent events",
    "Related parties", "Commitments", "Derivatives", "Fair value",
]


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def write_queries(folder: Path, queries: list[dict]) -> None:
    lines = [json.dumps(query, ensure_ascii=False) for query in queries]
    write(folder / "queries.jsonl", "\n".join(lines) + "\n")


def articles(of: Path, folder: Path) -> None:
    corpus = of / "corpus"
    by_article: dict[str, list[Path]] = {}
    for file in sorted(corpus.rglob("*.txt")):
        by_article.setdefault(file.stem.rsplit("__", 1)[0], []).append(file)
    place = {}
    for name, files in by_article.items():
        for start in range(0, len(files), PARAGRAPHS):
            document = f"document-{len(set(place.values())):04}.md"
            parts = [f"# {name.replace('_', ' ')}"]
            for number, file in enumerate(files[start : start + PARAGRAPHS]):
                if number % OF_A_SECTION == 0:
                    parts.append(f"## Part {(start + number) // OF_A_SECTION + 1}")
                parts.append(" ".join(file.read_text().split()))
                place[file.relative_to(corpus).as_posix()] = document
            write(folder / "corpus" / document, "\n\n".join(parts) + "\n")
    queries = []
    for line in (of / "queries.jsonl").read_text().splitlines():
        query = json.loads(line)
        for key in ("relevant", "near"):
            query[key] = [{"file": place[at["file"]]} for at in query.get(key, [])]
        queries.append(query)
    write_queries(folder, queries)


def pdf(pages: list[list[tuple[int, str]]]) -> bytes:
    """A PDF with these lines on its pages, each with its size in points (ISO 32000-1)."""
    objects: list[bytes] = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        text, y = [], 780
        for size, line in lines:
            y -= size + 6
            escaped = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            text.append(f"BT /F1 {size} Tf 60 {y} Td ({escaped}) Tj ET")
        content = zlib.compress("\n".join(text).encode("latin-1"))
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(kids), b" ".join(kids))
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def wrapped(text: str, width: int = 88) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def filings(folder: Path) -> None:
    numbers = random.Random(7)
    for kind in ("named", "unnamed"):
        queries = []
        for company in COMPANIES:
            for year in YEARS:
                name = f"{company.split()[0]}_{year}_10K" if kind == "named" else f"report-{numbers.randrange(10**6):06}"
                pages = [[(20, "Annual report"), (16, f"{company} Corporation"), (12, f"For the fiscal year {year}")]]
                sections: list = [(section, None) for section in SECTIONS] + [(fact[0], fact) for fact in FACTS]
                numbers.shuffle(sections)
                for section, fact in sections:
                    sentences = numbers.choices(FILLER, k=9)
                    if fact:
                        n, d = numbers.randrange(110, 980), numbers.randrange(2, 99)
                        sentences.insert(numbers.randrange(len(sentences)), fact[1].format(n=n, d=d))
                        queries.append({
                            "id": f"{company}-{year}-{section}",
                            "question": fact[2].format(c=company, y=year),
                            "answers": [fact[3].format(n=n, d=d)],
                            "relevant": [{"file": f"{name}.pdf", "page": len(pages) + 1}],
                            "answerable": True,
                        })
                    lines = [(15, section)] + [(10, line) for line in wrapped(" ".join(sentences))]
                    pages.append(lines)
                write(folder / kind / "corpus" / f"{name}.pdf", pdf(pages))
        numbers.shuffle(queries)
        write_queries(folder / kind, queries[:200])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["articles", of, folder]:
            articles(Path(of), Path(folder))
        case ["filings", folder]:
            filings(Path(folder))
        case _:
            sys.exit(__doc__)
