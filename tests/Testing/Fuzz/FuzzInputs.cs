using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>The inputs in a folder of tests/Fuzz, others that are made of them, and those that are found to fail.</summary>
public sealed class FuzzInputs
{
    private const int MostKept = 2000;
    private const int LongestInput = 6000;

    /// <summary>What matters to any protocol of lines.</summary>
    private static readonly string[] s_words =
    [
        "\r\n", "\r", "\n", ".", "\r\n.\r\n", "\n.\n", "\r\n.\n", "\0", " ", "<", ">", "@", "=", "+", ":", ";", ",", "*", "\\", "\"", "\u00ff", "\u00c3\u00a9",
        "biws", "AGFubgBzZWNyZXQ=", "xn--",
    ];

    private readonly byte[][] _words;
    private readonly Random _random;
    private readonly string _folder;
    private readonly List<byte[]> _inputs;

    /// <param name="kind">The folder.</param>
    /// <param name="words">Of its protocol, one octet for each character.</param>
    public FuzzInputs(string kind, IEnumerable<string> words, int seed)
    {
        _words = [.. s_words.Concat(words).Select(Encoding.Latin1.GetBytes)];
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
    public async Task<string> WriteAsync(byte[] input, Func<byte[], Task<bool>> failsAsync)
    {
        for (var piece = input.Length / 2; piece > 0; piece /= 2)
        {
            for (var at = 0; at + piece <= input.Length;)
            {
                byte[] shorter = [.. input[..at], .. input[(at + piece)..]];
                if (await failsAsync(shorter))
                    input = shorter;
                else
                    at += piece;
            }
        }

        var path = Path.Combine(_folder, $"found-{Convert.ToHexStringLower(SHA256.HashData(input))[..12]}");
        await File.WriteAllBytesAsync(path, input);
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
                input.InsertRange(at, _words[_random.Next(_words.Length)]);
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
