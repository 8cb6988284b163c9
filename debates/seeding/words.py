"""What bulk readers say: a small pool of sentences, put together and rendered once."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from core.markdown import render

from .copying import text

DISTINCT_TEXTS = 400

SENTENCES = (
    "Li duas vezes e na segunda entendi outra coisa.",
    "O narrador não me convence desde a primeira página, e acho que é de propósito.",
    "Concordo com quase tudo, menos com a parte sobre o final.",
    "O capítulo do meio é arrastado, mas sem ele o resto não se sustenta.",
    "Alguém mais reparou como a casa muda de tamanho conforme o humor da personagem?",
    "A tradução que eu tenho corta um parágrafo inteiro nessa passagem.",
    "Para mim o livro é sobre dinheiro, e todo o resto é desculpa.",
    "Não consegui gostar de ninguém ali, e mesmo assim não larguei.",
    "Minha avó contava uma história parecida, com outro fim.",
    "Faz diferença saber em que ano foi escrito.",
    "O diálogo da estação vale o romance todo.",
    "Eu leria mais cem páginas só com as cartas.",
    "Discordo: ela sabia desde o começo e preferiu calar.",
    "Quem leu na escola e detestou devia tentar de novo.",
    "A frase de abertura promete um livro que não vem, e ainda bem.",
    "Fiquei com raiva do autor por uns três dias.",
    "O tempo aqui não anda para a frente, anda em volta.",
    "Talvez o problema seja a gente querer um culpado.",
    "Aquela cena da chuva é de uma delicadeza rara.",
    "Achei a comparação forçada, mas bonita.",
    "Marquei tantas passagens que o lápis acabou antes.",
    "O humor é tão seco que passa por tristeza.",
    "Quando o pai fala, repare quem sai da sala.",
    "Li em voz alta para o meu filho e funcionou muito melhor.",
    "A cidade é personagem, e talvez a principal.",
    "Ninguém naquela família diz o que pensa, nem no enterro.",
    "O título só faz sentido na última página.",
    "Prefiro o primeiro livro, mas este é mais honesto.",
    "Há um erro de datas que ninguém comenta.",
    "Obrigada pela indicação, comecei ontem e já passei da metade.",
    "Emprestei o meu exemplar e nunca mais voltou.",
    "O rio aparece sete vezes, eu contei.",
    "Isso que você chama de defeito é o que me prendeu.",
    "Dá para ler como policial, como romance de formação ou como piada.",
    "As notas de rodapé são metade da graça.",
    "Queria saber o que o criado pensava de tudo aquilo.",
    "A adaptação para o cinema corta justamente isso.",
    "É um livro para ler devagar, de preferência com chuva.",
    "A descrição da comida me deu fome de verdade.",
    "Se o irmão tivesse chegado um dia antes, não havia romance.",
    "O silêncio dela diz mais do que os três capítulos dele.",
    "Reli por causa deste debate e mudei de lado.",
    "Não vejo ironia nenhuma ali, vejo medo.",
    "O posfácio da edição nova ajuda bastante.",
    "Parei na metade e não me arrependo.",
    "A linguagem é difícil nas vinte primeiras páginas, depois o ouvido acostuma.",
)
TITLES = (
    "O que vocês acharam do final de {book}?",
    "{book}: por onde começar",
    "Releitura de {book}, um capítulo por semana",
    "Quem é o verdadeiro narrador de {book}?",
    "A melhor tradução de {book}",
    "{book} envelheceu bem?",
    "Larguei {book} na metade, me convençam a voltar",
    "As cenas de cozinha em {book}",
    "{book} e a adaptação para o cinema",
    "Três perguntas sobre {book}",
    "O humor de {book}",
    "{book} para quem nunca leu o autor",
    "Personagens que mereciam mais páginas: {book}",
    "A cidade em {book}",
    "{book}: culpa de quem?",
    "Edições bonitas de {book}",
    "A frase mais triste de {book}",
    "{book} em sala de aula",
)
FIRST_NAMES = (
    "Adriana", "Alice", "Antônio", "Beatriz", "Bruno", "Camila", "Carlos", "Célia", "Daniel",
    "Débora", "Eduardo", "Elisa", "Fábio", "Fernanda", "Gabriel", "Helena", "Inês", "Ivan",
    "Joana", "João", "José", "Júlia", "Larissa", "Leandro", "Lúcia", "Luís", "Márcia", "Maria",
    "Mateus", "Nádia", "Otávio", "Paulo", "Priscila", "Rafael", "Rita", "Rodrigo", "Sandra",
    "Sérgio", "Talita", "Vera",
)  # fmt: skip
LAST_NAMES = (
    "Almeida", "Araújo", "Barbosa", "Barros", "Cardoso", "Carvalho", "Castro", "Costa", "Dias",
    "Duarte", "Fernandes", "Ferreira", "Freitas", "Gomes", "Lima", "Lopes", "Machado", "Martins",
    "Melo", "Moraes", "Moreira", "Nascimento", "Nunes", "Oliveira", "Pereira", "Pinto", "Ramos",
    "Ribeiro", "Rocha", "Santos", "Silva", "Souza", "Teixeira", "Vieira",
)  # fmt: skip
CITIES = (
    "", "", "Belém", "Belo Horizonte", "Campinas", "Curitiba", "Fortaleza", "Goiânia", "Manaus",
    "Natal", "Pelotas", "Porto Alegre", "Recife", "Rio de Janeiro", "Salvador", "São Luís",
    "São Paulo", "Vitória",
)  # fmt: skip
BOOK_NOUNS = (
    "O farol", "A casa", "Os cadernos", "A travessia", "O inverno", "As cartas", "O arquivo",
    "A ponte", "O jardim", "Os dias", "A febre", "O relógio", "As marés", "O retrato",
)  # fmt: skip
BOOK_TAILS = (
    "de Itabira", "do avesso", "de São Tomé", "sem dono", "da memória", "de vidro", "do sertão",
    "de Amélia", "do meio-dia", "da rua torta", "de ninguém", "do último trem",
)  # fmt: skip


class Text(NamedTuple):
    """Markdown and its HTML, as they are and as COPY reads them."""

    markdown: str
    html: str
    columns: str  # both, escaped, with a tab between


def texts(dice: Random, count: int = DISTINCT_TEXTS) -> list[Text]:
    """Return ``count`` texts of one sentence to six paragraphs, rendered like a reader's."""
    pool = []
    for _number in range(count):
        paragraphs = [_paragraph(dice) for _ in range(min(6, 1 + int(dice.expovariate(0.7))))]
        markdown = "\n\n".join(paragraphs)
        html = render(markdown)
        pool.append(Text(markdown, html, f"{text(markdown)}\t{text(html)}"))
    return pool


def _paragraph(dice: Random) -> str:
    sentences = dice.sample(SENTENCES, 1 + int(dice.random() ** 2 * 9))
    kind = dice.random()
    if kind < 0.10:
        return "> " + " ".join(sentences)
    if kind < 0.15:
        return "\n".join(f"- {sentence}" for sentence in sentences)
    if kind < 0.35:
        sentences[0] = f"**{sentences[0]}**"
    elif kind < 0.5:
        sentences[-1] = f"*{sentences[-1]}*"
    return " ".join(sentences)


def full_name(dice: Random) -> str:
    return f"{dice.choice(FIRST_NAMES)} {dice.choice(LAST_NAMES)}"


def book_title(dice: Random) -> str:
    return f"{dice.choice(BOOK_NOUNS)} {dice.choice(BOOK_TAILS)}"
