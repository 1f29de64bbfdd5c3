namespace MailPipeline.Ingress.Headers;

/// <summary>What a line of a submitted message is, as far as its header goes.</summary>
internal enum HeaderLine : byte
{
    /// <summary>Too little of it is there.</summary>
    Undecided,
    Field,

    /// <summary>RFC 5322 §2.2.3</summary>
    Continuation,

    /// <summary>What mbox files put before a message: "From ann@example.org Sun Mar  1 ...".</summary>
    MailboxLine,
    Empty,
    Text,
}

/// <summary>Tells the lines of a submitted header apart.</summary>
internal static class HeaderLines
{
    /// <summary>RFC 5322 §2.1.1: no line of a header is longer, so that no field's name is.</summary>
    public const int MaxBytes = 998;

    /// <summary>The field that the line of an mbox file becomes, as Postfix has it.</summary>
    public static ReadOnlySpan<byte> MailboxField => "X-Mailbox-Line: "u8;

    /// <summary>What a line is, or may yet be; with <see cref="MaxBytes"/> of it, it is decided.</summary>
    /// <param name="line">With its CRLF, where that is there; not empty.</param>
    /// <param name="isLine">The line is whole.</param>
    /// <param name="previous">The line before it; undecided where it is the first.</param>
    public static HeaderLine KindOf(ReadOnlySpan<byte> line, bool isLine, HeaderLine previous)
    {
        if (line[0] is (byte)' ' or (byte)'\t')
            return previous == HeaderLine.Undecided ? HeaderLine.Text : HeaderLine.Continuation;
        if (line[0] == '\r' && line.Length == (isLine ? 2 : 1))
            return isLine ? HeaderLine.Empty : HeaderLine.Undecided;
        if (!FieldName(line).IsEmpty)
            return HeaderLine.Field;
        if (line.Length < MaxBytes && !isLine)
            return HeaderLine.Undecided;
        var isMailboxLine = previous == HeaderLine.Undecided && isLine && line.Length - "\r\n"u8.Length <= MaxBytes - MailboxField.Length
            && line.TrimStart((byte)'>').StartsWith("From "u8);
        return isMailboxLine ? HeaderLine.MailboxLine : HeaderLine.Text;
    }

    /// <summary>What may be the name of a field behind which white space fills all of <see cref="MaxBytes"/>; empty where it is none.</summary>
    /// <param name="line">Its first <see cref="MaxBytes"/>, or all of it.</param>
    public static ReadOnlySpan<byte> PaddedName(ReadOnlySpan<byte> line) => line.Length < MaxBytes ? default : line.TrimEnd(" \t"u8);

    /// <summary>RFC 5322 §3.6.8, and the space before the colon of §4.5; empty where the line is no field.</summary>
    public static ReadOnlySpan<byte> FieldName(ReadOnlySpan<byte> line)
    {
        var colon = line[..Math.Min(line.Length, MaxBytes)].IndexOf((byte)':');
        if (colon <= 0)
            return default;
        var name = line[..colon].TrimEnd(" \t"u8);
        return name.ContainsAnyExceptInRange((byte)'!', (byte)'~') ? default : name;
    }
}
