using System.Security.Cryptography;

namespace MailPipeline.Smtp.Tests;

/// <summary>The inputs in a folder of tests/Fuzz, others that are made of them, and those that are found to fail.</summary>
internal sealed class FuzzInputs
{
    private const int MostKept = 2000;
    private const int LongestInput = 6000;

    private static readonly byte[][] s_words =
    [
        .. new[]
        {
            "\r\n", "\r", "\n", ".", "\r\n.\r\n", "\n.\n", "\r\n.\n", "\0", " ", "<", ">", "@", "=", "+", "+0D+0A", "+00", ":", ";", ",", "*", "\\", "\"", "\u00ff", "\u00c3\u00a9",
            "EHLO x\r\n", "LHLO x\r\n", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.com>", "DATA\r\n", "RSET\r\n", "QUIT\r\n", "STARTTLS\r\n", "NOOP\r\n",
            "BDAT 1\r\n", "BDAT 0 LAST\r\n", "BDAT 99999999999999999999 LAST\r\n", " LAST", " SMTPUTF8", " BODY=8BITMIME", " SIZE=", " RET=FULL", " ENVID=", " AUTH=", " NOTIFY=NEVER", " ORCPT=rfc822;",
            " ORCPT=utf-8;", "\\x{", "}", " BY=1;R", " HOLDFOR=1", " MT-PRIORITY=-9", "AUTH PLAIN ", "AUTH LOGIN\r\n", "AUTH SCRAM-SHA-256 ", "AUTH SCRAM-SHA-256-PLUS ", "AUTH XOAUTH2 ",
            "biws", "AGFubgBzZWNyZXQ=", "ETRN @", "XCLIENT ADDR=", "[IPv6:::1]", "xn--",
        }.Select(Wire.Bytes),
    ];

    private readonly Random _random;
    private readonly string _folder;
    private readonly List<byte[]> _inputs;

    public FuzzInputs(string kind, int seed)
    {
        _random = new Random(seed);
        _folder = Path.Combine(Root(), "tests", "Fuzz", kind);
        _inputs = [.. Directory.GetFiles(_folder).Order(StringComparer.Ordinal).Select(File.ReadAllBytes)];
    }

    /// <summary>The names of the files of a kind, in their order.</summary>
    public static IEnumerable<string> NamesOf(string kind) =>
        Directory.GetFiles(Path.Combine(Root(), "tests", "Fuzz", kind)).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal);

    public static byte[] Read(string kind, string name) => File.ReadAllBytes(Path.Combine(Root(), "tests", "Fuzz", kind, name));

    /// <summary>One that nobody has tried yet, most likely.</summary>
    public byte[] Next()
    {
        var input = Any().ToList();
        for (var changes = 1 + _random.Next(6); changes > 0; changes--)
            Change(input);
        return [.. input.Take(LongestInput)];
    }

    /// <summary>It has led to something new: others are made of it.</summary>
    public void Keep(byte[] input)
    {
        if (_inputs.Count < MostKept)
            _inputs.Add(input);
    }

    /// <summary>Writes an input that fails among the others, after all was left out of it that it fails without.</summary>
    /// <returns>The path of the file.</returns>
    public string Write(byte[] input, Func<byte[], bool> fails)
    {
        for (var piece = input.Length / 2; piece > 0; piece /= 2)
        {
            for (var at = 0; at + piece <= input.Length;)
            {
                byte[] shorter = [.. input[..at], .. input[(at + piece)..]];
                if (fails(shorter))
                    input = shorter;
                else
                    at += piece;
            }
        }

        var path = Path.Combine(_folder, $"found-{Convert.ToHexStringLower(SHA256.HashData(input))[..12]}");
        File.WriteAllBytes(path, input);
        return path;
    }

    private byte[] Any() => _inputs[_random.Next(_inputs.Count)];

    private void Change(List<byte> input)
    {
        var at = _random.Next(input.Count + 1);
        var length = Math.Min(input.Count - at, 1 + _random.Next(_random.Next(4) == 0 ? 200 : 8));
        switch (_random.Next(7))
        {
            case 0:
                input.InsertRange(at, s_words[_random.Next(s_words.Length)]);
                break;
            case 1:
                input.RemoveRange(at, length);
                break;
            case 2:
                for (var i = at; i < at + length; i++)
                    input[i] = (byte)_random.Next(256);
                break;
            case 3 when at < input.Count:
                input[at] ^= (byte)(1 << _random.Next(8));
                break;
            case 4:
                input.InsertRange(at, input.GetRange(at, length));
                break;
            case 5:
                // A line of another input.
                var other = Any();
                var from = _random.Next(other.Length + 1);
                input.InsertRange(at, other.Skip(from).Take(1 + _random.Next(100)));
                break;
            default:
                input.InsertRange(at, Enumerable.Repeat((byte)_random.Next(256), 1 + _random.Next(_random.Next(10) == 0 ? 3000 : 20)));
                break;
        }
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "MailPipeline.sln")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException($"No MailPipeline.sln above {AppContext.BaseDirectory}");
        return folder.FullName;
    }
}
