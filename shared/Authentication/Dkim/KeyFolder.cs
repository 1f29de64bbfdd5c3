using System.Security.Cryptography;
using MailPipeline.Smtp;

namespace MailPipeline.Authentication.Dkim;

/// <summary>
/// Private keys as files: DOMAIN/SELECTOR.pem, or SELECTOR._domainkey.DOMAIN.pem, which is what a secret of Kubernetes can hold. A key that is
/// retired keeps its file under another ending, and signs nothing.
/// </summary>
public sealed class KeyFolder(string path)
{
    private const string Ending = ".pem";
    private const string Retired = ".retired";
    private const string Between = "._domainkey.";

    /// <summary>More than anybody has in files: a folder that is none of keys is not read to its end.</summary>
    private const int MaxFiles = 100_000;

    public string Path => path;

    /// <summary>The files of keys that sign, by domain and selector.</summary>
    public IReadOnlyList<KeyFile> Find()
    {
        var folder = new DirectoryInfo(path);
        if (!folder.Exists)
            return [];
        // What begins with a dot is the mount's own (..data).
        var files = folder.EnumerateFiles($"*{Ending}").Select(file => NamedByRecord(file))
            .Concat(folder.EnumerateDirectories().Where(domain => domain.Name[0] != '.')
                .SelectMany(domain => domain.EnumerateFiles($"*{Ending}").Select(file => KeyFile.Of(file, domain.Name, BareName(file)))))
            .OfType<KeyFile>().Take(MaxFiles);
        return [.. files.OrderBy(file => file.Domain, StringComparer.Ordinal).ThenBy(file => file.Selector, StringComparer.Ordinal)];
    }

    /// <summary>Writes a new key, for its owner alone to read, and gives it back.</summary>
    /// <returns>Null where the domain has one of that selector, or has retired one.</returns>
    public DkimSigningKey? Create(string domain, string selector, DkimKeyKind kind)
    {
        var file = System.IO.Path.Combine(path, domain, selector + Ending);
        if (File.Exists(file + Retired) || Find().Any(key => key.Domain == domain && key.Selector == selector))
            return null;
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(file)!);
        var pem = DkimSigningKey.Create(kind);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        // Under a name that nobody reads until all of it is there.
        var unfinished = $"{file}.new";
        File.Delete(unfinished);
        using (var writer = new StreamWriter(unfinished, System.Text.Encoding.ASCII, options))
            writer.Write(pem);
        File.Move(unfinished, file);
        return DkimSigningKey.Read(domain, selector, pem);
    }

    /// <summary>The key signs nothing any more. Its record has to stay for as long as mail that it signed is under way.</summary>
    /// <returns>False where there is none.</returns>
    public bool Retire(string domain, string selector)
    {
        if (Find().FirstOrDefault(key => key.Domain == domain && key.Selector == selector) is not { } found)
            return false;
        File.Move(found.Path, found.Path + Retired);
        return true;
    }

    private static string BareName(FileInfo file) => file.Name[..^Ending.Length];

    private static KeyFile? NamedByRecord(FileInfo file)
    {
        var name = BareName(file);
        var between = name.IndexOf(Between, StringComparison.OrdinalIgnoreCase);
        return between <= 0 ? null : KeyFile.Of(file, name[(between + Between.Length)..], name[..between]);
    }
}

/// <summary>One file of a private key.</summary>
/// <param name="Domain">In A-labels and lower case.</param>
/// <param name="Stamp">Changes when the file does; it follows links, for a mounted secret changes by moving one.</param>
public sealed record KeyFile(string Path, string Domain, string Selector, string Stamp)
{
    /// <exception cref="CryptographicException">It holds no key that can be used.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This process may not read it.</exception>
    public DkimSigningKey Read() => DkimSigningKey.Read(Domain, Selector, File.ReadAllText(Path));

    /// <summary>A name that can stand in front of "._domainkey".</summary>
    public static bool IsSelector(string name) =>
        name.Length is > 0 and <= 63 && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.') && name[0] != '.' && name[^1] != '.';

    internal static KeyFile? Of(FileInfo file, string domain, string selector)
    {
        if (DomainName.ToAscii(domain) is not { Length: > 0 } ascii || !IsSelector(selector))
            return null;
        var target = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
        return new KeyFile(file.FullName, ascii, selector.ToLowerInvariant(), $"{target.FullName} {(target.Exists ? target.Length : -1)} {target.LastWriteTimeUtc.Ticks}");
    }
}
