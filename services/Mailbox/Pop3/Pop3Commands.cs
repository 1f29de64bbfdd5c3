using System.Collections.Frozen;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>Every command, the states it is allowed in and how many arguments it takes.</summary>
internal static class Pop3Commands
{
    private const Pop3State Login = Pop3State.Authorization;
    private const Pop3State Mail = Pop3State.Transaction;

    internal static FrozenDictionary<string, Pop3Command> Table { get; } = new Pop3Command[]
    {
        new("USER", Login, 1, 1, "USER name", (session, argument) => session.User(argument)),
        new("PASS", Login, 1, 1, "PASS password", (session, argument) => session.Pass(argument)) { IsSecret = true },
        new("AUTH", Login, 1, 2, "AUTH mechanism [initial-response]", (session, argument) => session.Auth(argument)),
        new("STLS", Login, 0, 0, "STLS", (session, argument) => session.Stls(argument)),
        new("UTF8", Login, 0, 0, "UTF8", (session, argument) => session.Utf8(argument)),
        new("LANG", Login | Mail, 0, 1, "LANG [language]", (session, argument) => session.Lang(argument)),
        new("CAPA", Login | Mail, 0, 0, "CAPA", (session, argument) => session.Capa(argument)),
        new("QUIT", Login | Mail, 0, 0, "QUIT", (session, argument) => session.Quit(argument)),
        new("NOOP", Mail, 0, 0, "NOOP", (_, _) => Pop3Session.Noop()),
        new("STAT", Mail, 0, 0, "STAT", (session, argument) => session.Stat(argument)),
        new("LIST", Mail, 0, 1, "LIST [number]", (session, argument) => session.List(argument)),
        new("UIDL", Mail, 0, 1, "UIDL [number]", (session, argument) => session.Uidl(argument)),
        new("RETR", Mail, 1, 1, "RETR number", (session, argument) => session.Retr(argument)),
        new("TOP", Mail, 2, 2, "TOP number lines", (session, argument) => session.Top(argument)),
        new("DELE", Mail, 1, 1, "DELE number", (session, argument) => session.Dele(argument)),
        new("RSET", Mail, 0, 0, "RSET", (session, argument) => session.Rset(argument)),
    }.ToFrozenDictionary(command => command.Verb, StringComparer.OrdinalIgnoreCase); // RFC 1939 §3: case-insensitive
}

/// <summary>One row of <see cref="Pop3Commands.Table"/>.</summary>
internal sealed record Pop3Command(
    string Verb, Pop3State States, int MinArguments, int MaxArguments, string Usage, Func<Pop3Session, string, Pop3Step> Answer)
{
    /// <summary>The rest of the line is one secret, spaces included.</summary>
    public bool IsSecret { get; init; }
}
