namespace MailPipeline.Testing;

/// <summary>
/// A root file system as bare as that of the chiseled ASP.NET image: the .NET runtime, the C library, OpenSSL and what those two need,
/// no shell, no Kerberos, no ICU, nothing that can be written but /tmp. Mounted for one process alone, as root.
/// </summary>
public sealed class BareRoot : IDisposable
{
    /// <summary>Bind mounts in a mount namespace of its own, which the kernel removes with the process.</summary>
    private const string Enter =
        """
        set -e
        root=$1 dotnet=$2 program=$3
        shift 3
        mount --bind "$root" "$root"
        mount --bind -o ro "$dotnet" "$root/dotnet"
        mount --bind -o ro "$(dirname "$program")" "$root/app"
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mount -t tmpfs tmpfs "$root/tmp"
        mount -o remount,bind,ro "$root"
        exec chroot --userspec=1654:1654 "$root" /dotnet/dotnet "/app/$(basename "$program")" "$@"
        """;

    private readonly TempFolder _folder;
    private readonly string _dotnet;

    private BareRoot(TempFolder folder, string dotnet)
    {
        _folder = folder;
        _dotnet = dotnet;
    }

    /// <summary>What the image sets.</summary>
    public static IReadOnlyDictionary<string, string?> Environment { get; } = new Dictionary<string, string?>
    {
        ["DOTNET_ROOT"] = "/dotnet",
        ["DOTNET_RUNNING_IN_CONTAINER"] = "true",
        ["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "true",
        ["HOME"] = "/tmp",
        ["LD_LIBRARY_PATH"] = null,
    };

    /// <exception cref="InvalidOperationException">It cannot be made here; says why.</exception>
    public static async Task<BareRoot> CreateAsync(CancellationToken cancellation)
    {
        if (!System.Environment.IsPrivilegedProcess)
            throw new InvalidOperationException("A root file system can be mounted by root alone; run the tests as root");
        var dotnet = Path.GetDirectoryName(Path.GetDirectoryName(Path.GetDirectoryName(Path.GetDirectoryName(typeof(object).Assembly.Location))))!;
        var folder = new TempFolder("root");
        foreach (var name in new[] { "app", "dotnet", "dev", "proc", "tmp", "etc" })
            folder.CreateFolder(name);
        foreach (var file in new[] { "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf" }.Where(File.Exists))
            File.Copy(file, folder[file[1..]]);
        folder.Write("etc/passwd", "app:x:1654:1654::/tmp:/sbin/nologin\n");
        var native = Directory.EnumerateFiles(dotnet, "*.so", SearchOption.AllDirectories)
            // What .NET itself opens only where it is there.
            .Where(file => !file.EndsWith("libSystem.Net.Security.Native.so", StringComparison.Ordinal) && !file.EndsWith("libcoreclrtraceptprovider.so", StringComparison.Ordinal));
        foreach (var library in await LibrariesAsync([Path.Combine(dotnet, "dotnet"), .. native, await OpenSslAsync(cancellation)], cancellation))
        {
            var copy = folder[library[1..]];
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(library, copy, overwrite: true);
        }
        return new BareRoot(folder, dotnet);
    }

    /// <summary>Starts a built program of the product inside. The process id is the program's own.</summary>
    public ServerProcess Start(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string?> environment) =>
        ServerProcess.Start(
            "unshare", ["--mount", "--propagation", "private", "sh", "-c", Enter, "sh", _folder.FullPath, _dotnet, program, .. arguments], "/",
            Environment.Concat(environment).ToDictionary());

    public void Dispose() => _folder.Dispose();

    private static async Task<string> OpenSslAsync(CancellationToken cancellation)
    {
        var known = await ServerProcess.RunAsync("/sbin/ldconfig", ["-p"], cancellation: cancellation);
        return known.Split('\n').First(line => line.Contains("libssl.so.3", StringComparison.Ordinal)).Split("=>")[1].Trim();
    }

    /// <summary>The shared libraries that the loader brings in for these files, and the files of the system among them.</summary>
    private static async Task<IReadOnlySet<string>> LibrariesAsync(IReadOnlyList<string> files, CancellationToken cancellation)
    {
        var found = files.Where(file => !file.Contains("/dotnet/", StringComparison.Ordinal)).ToHashSet(StringComparer.Ordinal);
        foreach (var line in (await ServerProcess.RunAsync("ldd", files, cancellation: cancellation)).Split('\n'))
        {
            // "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f...)", "/lib64/ld-linux-x86-64.so.2 (0x...)"
            var path = line.Trim().Split("=>")[^1].Trim().Split(' ')[0];
            if (path.StartsWith('/') && !path.EndsWith(':') && !path.Contains("/dotnet/", StringComparison.Ordinal))
                found.Add(path);
        }
        return found;
    }
}
