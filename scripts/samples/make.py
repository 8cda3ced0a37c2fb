#!/usr/bin/env python3
"""Make the binary sample documents, byte for byte the same each time.

    pip install reportlab==5.1.0        (only the PDF needs it)
    scripts/samples/make.py

The results in samples/ are committed, so this is run only when their text changes.
The other samples are plain files and are edited where they lie. All of them were written
for this project. This note stands here because everything in samples/ is indexed.
"""

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"

# ---- Word documents -------------------------------------------------------------------

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

CONTENT_TYPES = f"""{XML}<Types xmlns="{PACKAGE}/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>
<Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/>
<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>
</Types>"""

RELATIONSHIPS = f"""{XML}<Relationships xmlns="{PACKAGE}/relationships">
<Relationship Id="rId1" Type="{OFFICE}/relationships/officeDocument" Target="word/document.xml"/>
<Relationship Id="rId2" Type="{PACKAGE}/relationships/metadata/core-properties" Target="docProps/core.xml"/>
</Relationships>"""

DOCUMENT_RELATIONSHIPS = f"""{XML}<Relationships xmlns="{PACKAGE}/relationships">
<Relationship Id="rId1" Type="{OFFICE}/relationships/styles" Target="styles.xml"/>
</Relationships>"""


def styles(language: str) -> str:
    heading = (
        '<w:style w:type="paragraph" w:styleId="Heading{level}"><w:name w:val="heading {level}"/>'
        '<w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr><w:keepNext/>'
        '<w:spacing w:before="240" w:after="120"/><w:outlineLvl w:val="{outline}"/></w:pPr>'
        '<w:rPr><w:b/><w:sz w:val="{size}"/></w:rPr></w:style>'
    )
    return (
        f'{XML}<w:styles xmlns:w="{WORD}"><w:docDefaults><w:rPrDefault><w:rPr><w:sz w:val="22"/>'
        f'<w:lang w:val="{language}" w:eastAsia="{language}"/></w:rPr></w:rPrDefault></w:docDefaults>'
        '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/>'
        '<w:pPr><w:spacing w:after="120"/></w:pPr></w:style>'
        + "".join(heading.format(level=n, outline=n - 1, size=size) for n, size in ((1, 36), (2, 28)))
        + "</w:styles>"
    )


def paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f'<w:p>{properties}<w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>'


def table(rows: list) -> str:
    borders = "".join(
        f'<w:{side} w:val="single" w:sz="4" w:color="888888"/>'
        for side in ("top", "left", "bottom", "right", "insideH", "insideV")
    )
    columns = len(rows[0])
    cell = f'<w:tc><w:tcPr><w:tcW w:w="{9000 // columns}" w:type="dxa"/></w:tcPr>{{}}</w:tc>'
    body = "".join(
        "<w:tr>" + ("<w:trPr><w:tblHeader/></w:trPr>" if index == 0 else "")
        + "".join(cell.format(paragraph(text)) for text in row) + "</w:tr>"
        for index, row in enumerate(rows)
    )
    grid = f'<w:gridCol w:w="{9000 // columns}"/>' * columns
    return (f'<w:tbl><w:tblPr><w:tblW w:w="9000" w:type="dxa"/><w:tblBorders>{borders}</w:tblBorders>'
            f"</w:tblPr><w:tblGrid>{grid}</w:tblGrid>{body}</w:tbl><w:p/>")


def word_document(name: str, language: str, content: list) -> None:
    """`content`: ("h1" | "h2" | "p", text) or ("table", rows)."""
    make = {
        "h1": lambda text: paragraph(text, "Heading1"),
        "h2": lambda text: paragraph(text, "Heading2"),
        "p": paragraph,
        "table": table,
    }
    body = "".join(make[kind](value) for kind, value in content)
    page = ('<w:sectPr><w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1440" w:right="1440" '
            'w:bottom="1440" w:left="1440" w:header="708" w:footer="708" w:gutter="0"/></w:sectPr>')
    core = (
        f'{XML}<cp:coreProperties xmlns:cp="{PACKAGE}/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>'
        f"{escape(content[0][1])}</dc:title></cp:coreProperties>"
    )
    files = {
        "[Content_Types].xml": CONTENT_TYPES,
        "_rels/.rels": RELATIONSHIPS,
        "docProps/core.xml": core,
        "word/_rels/document.xml.rels": DOCUMENT_RELATIONSHIPS,
        "word/document.xml": f'{XML}<w:document xmlns:w="{WORD}"><w:body>{body}{page}</w:body></w:document>',
        "word/styles.xml": styles(language),
    }
    with zipfile.ZipFile(SAMPLES / name, "w") as archive:
        for path, text in files.items():
            # ZipInfo's own date is 1980, which is what makes the file the same each time.
            archive.writestr(zipfile.ZipInfo(path), text.encode(), zipfile.ZIP_DEFLATED)


INSURANCE = [
    ("h1", "Household insurance: summary of cover"),
    ("p", "Policyholders: Edith and Marcus Rowntree, Larkfield, Marram Point. Insurer: Beacon Mutual. "
          "Policy number: BM-4471-0926. The year of insurance begins on 1 October."),
    ("h2", "What is insured"),
    ("table", [
        ["Risk", "Sum insured", "Excess"],
        ["Fire, lightning, explosion", "£420,000", "£150"],
        ["Storm and flood", "£420,000", "£600"],
        ["Escape of water", "£90,000", "£350"],
        ["Theft from the house", "£38,000", "£200"],
        ["Bicycles away from home", "£1,750", "£75"],
    ]),
    ("p", "The yearly premium is £512.36. It is lower by six per cent because the house has a smoke alarm on "
          "every floor; should one be taken down, Beacon Mutual must be told within 14 days."),
    ("h2", "What is not insured"),
    ("p", "Damage by moths, damp or the cat. Boats of more than 4.5 metres in length, which need a policy of "
          "their own. The barn roof, until the report of the surveyor is in."),
    ("h2", "When something happens"),
    ("p", "Claims are reported by telephone to 01632 960 882 at any hour. Photographs are taken before "
          "anything is moved. A theft is reported to the police first; the insurer asks for the crime number."),
    ("p", "Valuables worth more than £2,000 apiece are covered only when they are on the list in the safe. "
          "At present this list holds the longcase clock, the violin, and the two etchings on the landing."),
]

INSTRUMENT = [
    ("h1", "HS-6型浊度仪使用说明"),
    ("p", "本说明适用于滨海生态研究所各野外站。仪器由设备组统一管理，负责人为郑凯。"),
    ("h2", "一、技术参数"),
    ("table", [
        ["项目", "数值"],
        ["测量范围", "0至1000 NTU"],
        ["测量精度", "读数的±2%"],
        ["最大工作水深", "50米"],
        ["电池续航", "约45天（每十分钟测量一次）"],
        ["重量", "1.3千克"],
    ]),
    ("h2", "二、校准"),
    ("p", "仪器每三个月校准一次。校准使用福尔马肼标准液，浓度分别为0、100和800 NTU。校准前应先让仪器在室温下"
          "静置二十分钟。三点校准完成后，若误差超过5%，应把仪器送回设备组检修。"),
    ("h2", "三、布放与回收"),
    ("p", "布放前检查密封圈，并涂抹少量硅脂。仪器应固定在离海底至少80厘米的支架上，探头朝下，以减少生物附着。"
          "防污刷每两小时自动转动一次。回收后立即用淡水冲洗，不得使用酒精擦拭光学窗口。"),
    ("h2", "四、数据下载"),
    ("p", "用蓝色数据线连接电脑，打开“海数”软件，选择“下载全部”。数据文件按站点编号和日期命名，并在当天上传到"
          "研究所服务器。仪器内存可保存约十二万条记录，存满后会停止记录，不会覆盖旧数据。"),
    ("h2", "五、常见故障"),
    ("table", [
        ["现象", "原因", "处理"],
        ["红灯连闪三次", "电池电压低于3.1伏", "更换电池"],
        ["读数一直偏高", "光学窗口有附着物", "用软布和淡水清洁"],
        ["无法连接电脑", "接口进水", "晾干二十四小时后再试"],
    ]),
]

# ---- The PDF --------------------------------------------------------------------------

# Each chapter begins a page, so that a question has one right page.
PUMP_MANUAL = [
    ("TL-40 bilge pump: service manual", [
        "This manual is for those who install and service the TL-40, the electric bilge pump of Thorne & "
        "Lindqvist Marine Engineering. It holds for pumps with a serial number of 0500 or higher. Edition 4, "
        "February 2025.",
        "The TL-40 is a self-priming diaphragm pump for vessels of up to 20 metres. It tolerates running dry "
        "for ten minutes. It is not a fire pump, and it must not be used for fuel.",
        ("Safety", [
            "Disconnect the battery before you open the pump. The motor housing reaches 70 degrees Celsius in "
            "continuous operation; let it cool for half an hour.",
            "Bilge water may contain oil. Collect what runs out and hand it in ashore.",
        ]),
    ]),
    ("1 Technical data", [
        "All values were measured with fresh water at 15 degrees Celsius and a suction lift of one metre.",
        [
            ["Property", "Value"],
            ["Rated flow", "68 litres per minute"],
            ["Greatest suction lift", "4.2 metres"],
            ["Supply voltage", "24 V direct current"],
            ["Current at rated flow", "7.5 A"],
            ["Fuse", "15 A, slow-blow"],
            ["Hose diameter", "38 mm"],
            ["Mass without hoses", "9.6 kg"],
            ["Sound level at one metre", "61 dB(A)"],
        ],
        "The flow falls by about a tenth for every further metre of suction lift. With hoses longer than six "
        "metres, use the next larger diameter and an adapter.",
    ]),
    ("2 Installation", [
        "Mount the pump upright on a bulkhead, at least 300 millimetres above the highest bilge level, with "
        "the four rubber feet supplied. Tighten the mounting bolts to 18 newton metres.",
        "Lay the suction hose so that it rises steadily towards the pump; a hump in it holds air. The strainer "
        "sits at the lowest point of the bilge and stays within reach of a hand.",
        ("Clamps", [
            "Use two stainless steel clamps (material 1.4401) on every hose end. Clamps of other steel corrode "
            "in sea water within weeks, let in air and cost the pump its prime.",
        ]),
        ("Electrical connection", [
            "The brown wire goes to plus and the blue wire to minus; the yellow wire belongs to the float "
            "switch. The cable has a cross-section of at least 4 square millimetres.",
        ]),
    ]),
    ("3 Operation", [
        "In the position AUTO the float switch starts the pump when the water stands 90 millimetres above the "
        "strainer and stops it 20 seconds after the switch has dropped. In the position HAND the pump runs "
        "until it is switched off.",
        "The green lamp burns while the pump is ready. A flashing amber lamp means that the pump has run for "
        "more than five minutes without a pause: look for a leak.",
        ("Winter", [
            "Where frost is possible, drain the pump by the plug on its underside, run it for five seconds and "
            "leave the plug out. Fill in no antifreeze that contains alcohol: it makes the diaphragm brittle.",
        ]),
    ]),
    ("4 Maintenance", [
        "Clean the strainer every month. Replace the diaphragm and both valves after 1,500 hours of operation "
        "or after three years, whichever comes first. The parts are in the service kit SK-4011.",
        ("Vacuum test", [
            "Once a year, close the suction hose with the test cap, connect the gauge and run the pump. It must "
            "reach a vacuum of 0.35 bar within 30 seconds, and when it is stopped lose no more than 0.05 bar in two "
            "minutes. A bucket of water over the strainer is no substitute: it does not test the suction line.",
        ]),
        ("Changing the diaphragm", [
            "Take off the six screws of the pump head crosswise. The new diaphragm goes in with its ribbed side "
            "towards the motor. Tighten the screws crosswise in two steps, first to 3 and then to 6 newton metres.",
        ]),
    ]),
    ("5 Faults and spare parts", [
        [
            ["Fault", "Likely cause", "Remedy"],
            ["Motor runs, no flow", "Air in the suction line", "Check clamps, vacuum test"],
            ["Motor does not run", "Fuse, or float switch stuck", "Replace the fuse, free the switch"],
            ["Knocking noise", "Valve fitted upside down", "Turn the valve: arrow with the flow"],
            ["Pump will not stop", "Float switch wet inside", "Replace the float switch"],
        ],
        "Spare parts are delivered within three working days. State the serial number, which is stamped on the "
        "left foot of the motor.",
        [
            ["Part", "Number"],
            ["Service kit (diaphragm, valves, clamps)", "SK-4011"],
            ["Float switch", "FS-2203"],
            ["Strainer", "ST-1187"],
            ["Test cap with gauge", "TG-0450"],
        ],
        "The warranty runs for 24 months from delivery. It does not cover diaphragms, or damage by frost.",
    ]),
]


def pump_manual(name: str) -> None:
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
    from reportlab.lib.units import mm
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    sheet = getSampleStyleSheet()
    text = ParagraphStyle("text", parent=sheet["BodyText"], fontSize=11, leading=15, spaceAfter=8)
    grid = TableStyle([
        ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#e6ecec")),
        ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
    ])

    def flow(items):
        for item in items:
            if isinstance(item, str):
                yield Paragraph(escape(item), text)
            elif isinstance(item, tuple):
                yield Paragraph(item[0], sheet["Heading2"])
                yield from flow(item[1])
            else:
                yield Table(item, style=grid, hAlign="LEFT")
                yield Spacer(1, 5 * mm)

    def footer(canvas, document):
        canvas.setFont("Helvetica", 9)
        canvas.drawString(25 * mm, 15 * mm, "Thorne & Lindqvist Marine Engineering")
        canvas.drawRightString(A4[0] - 25 * mm, 15 * mm, f"{document.page}")

    story = []
    for number, (title, items) in enumerate(PUMP_MANUAL):
        if number:
            story.append(PageBreak())
        story.append(Paragraph(escape(title), sheet["Title" if number == 0 else "Heading1"]))
        story.extend(flow(items))
    # `invariant` leaves out the date and the random identifier.
    SimpleDocTemplate(
        str(SAMPLES / name), pagesize=A4, leftMargin=25 * mm, rightMargin=25 * mm, topMargin=25 * mm,
        bottomMargin=25 * mm, title=PUMP_MANUAL[0][0], author="Thorne & Lindqvist Marine Engineering",
        lang="en", invariant=True,
    ).build(story, onFirstPage=footer, onLaterPages=footer)


if __name__ == "__main__":
    word_document("house/insurance-summary.docx", "en-GB", INSURANCE)
    word_document("research/浊度仪使用说明.docx", "zh-CN", INSTRUMENT)
    pump_manual("workshop/tl-40-service-manual.pdf")
