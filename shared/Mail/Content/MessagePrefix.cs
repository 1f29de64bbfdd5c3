namespace MailPipeline.Mail;

/// <summary>
/// The fields that are put in front of a message, made when its content has ended. What is added last stands first: trace fields and
/// results of checks go on top of whatever they are about (RFC 5321 §4.4, RFC 8601 §4).
/// </summary>
public sealed class MessagePrefix
{
    /// <summary>Most octets of all fields together.</summary>
    public const int MaxBytes = 64 * 1024;

    private readonly List<byte[]> _added = [];

    public int SizeBytes { get; private set; }

    /// <summary>Puts whole fields, with their line ends, in front of those that are there.</summary>
    /// <exception cref="ArgumentException">They are more than a prefix may have.</exception>
    public void Add(ReadOnlySpan<byte> fields)
    {
        if (fields.Length > MaxBytes - SizeBytes)
            throw new ArgumentException($"The fields in front of a message may have {MaxBytes} octets.", nameof(fields));
        if (fields.IsEmpty)
            return;
        _added.Add(fields.ToArray());
        SizeBytes += fields.Length;
    }

    /// <summary>All fields, as they stand in front of the content.</summary>
    internal byte[] ToBytes()
    {
        var bytes = new byte[SizeBytes];
        var at = SizeBytes;
        foreach (var fields in _added)
        {
            at -= fields.Length;
            fields.CopyTo(bytes, at);
        }

        return bytes;
    }
}
