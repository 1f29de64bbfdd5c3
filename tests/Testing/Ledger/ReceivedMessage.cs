using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>
/// A message as it comes in line by line, at a far end or from a maildrop: its token, the hash of everything from the
/// token's header line on (trace headers are prepended and so left out), its size, and the notification it may be.
/// Memory is bounded: bytes are hashed and only the beginning is kept.
/// </summary>
public sealed class ReceivedMessage : IDisposable
{
    private const int KeptBytes = 1 << 20;

    private static readonly byte[] Mark = Encoding.ASCII.GetBytes(LedgerMessage.TokenHeader + ":");

    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly ArrayBufferWriter<byte> _kept = new();
    private bool _inHeader = true;

    public string Token { get; private set; } = "";

    public long SizeBytes { get; private set; }

    /// <summary>The beginning of the message, prepended headers included.</summary>
    public ReadOnlyMemory<byte> Beginning => _kept.WrittenMemory;

    /// <summary>Adds a line, unstuffed and without its CRLF.</summary>
    public void Append(ReadOnlySpan<byte> line)
    {
        SizeBytes += line.Length + 2;
        if (_inHeader && Token.Length == 0 && line.StartsWith(Mark))
            Token = Encoding.ASCII.GetString(line[Mark.Length..]).Trim();
        if (line.IsEmpty)
            _inHeader = false;
        if (Token.Length > 0)
        {
            _hash.AppendData(line);
            _hash.AppendData("\r\n"u8);
        }
        if (_kept.WrittenCount + line.Length + 2 <= KeptBytes)
        {
            _kept.Write(line);
            _kept.Write("\r\n"u8);
        }
    }

    /// <summary>The hash to compare with the intent's; empty when there is no token. Ends the message.</summary>
    public string TakeBodyHash() => Token.Length == 0 ? "" : Convert.ToHexString(_hash.GetHashAndReset());

    /// <summary>The notification that this message is; null when it is none.</summary>
    public DsnReport? ReadDsn() => Token.Length > 0 ? null : DsnReader.Read(_kept.WrittenMemory);

    public void Dispose() => _hash.Dispose();
}
