using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery.Routing;

/// <summary>A next hop that takes mail for some domains or all, perhaps of a user of its own only. Section "Delivery:Smarthosts:N".</summary>
public sealed class SmarthostOptions
{
    /// <summary>Name or address, with a port where it is not 25.</summary>
    public string Host { get; set; } = "";

    /// <summary>Whose mail goes there, as in <see cref="DeliveryOptions.Routes"/>: a domain, "*.example.com", "*". Default: all.</summary>
    public TextList Domains { get; set; } = [];

    /// <summary>Default: Verified where there are credentials, which no impostor must get; else as for any other host.</summary>
    public TlsPolicy? Tls { get; set; }

    /// <summary>TLS comes first, and not by STARTTLS (RFC 8314 §3.3). Default: at port 465.</summary>
    public bool? ImplicitTls { get; set; }

    /// <summary>
    /// A file with the user's name in its first line and the password, or token, in its second; or a folder with the files "username" and
    /// "password", as Kubernetes mounts a Secret of the type basic-auth. It is read for each connection. Default: none, nobody logs in.
    /// </summary>
    public string Credentials { get; set; } = "";

    /// <summary>Default: Any, the best of SCRAM-SHA-256, PLAIN and LOGIN that the host offers.</summary>
    public SmarthostMechanism Mechanism { get; set; }

    /// <summary>The credentials may travel without TLS. Default: false (RFC 4954 §4).</summary>
    public bool AllowCleartextAuth { get; set; }

    internal void Validate(string setting, List<string> errors)
    {
        if (Credentials.Length == 0 && (Mechanism != SmarthostMechanism.Any || AllowCleartextAuth))
            errors.Add($"{setting}:Credentials is not set, and {setting}:{(AllowCleartextAuth ? nameof(AllowCleartextAuth) : nameof(Mechanism))} says how they are shown");
        if (Credentials.Length > 0 && Tls == TlsPolicy.None && ImplicitTls is not true && !AllowCleartextAuth)
            errors.Add($"{setting}:Tls is None, and {setting}:Credentials may not travel without TLS; {setting}:AllowCleartextAuth allows it");
        if (ImplicitTls is true && Tls == TlsPolicy.None)
            errors.Add($"{setting}:Tls is None, and {setting}:ImplicitTls is true; one of them has to go");
        if (!Enum.IsDefined(Mechanism))
            errors.Add($"{setting}:Mechanism is {Mechanism}; it must be one of {string.Join(", ", Enum.GetNames<SmarthostMechanism>())}");
        if (Tls is { } tls && !Enum.IsDefined(tls))
            errors.Add($"{setting}:Tls is {tls}; it must be one of {string.Join(", ", Enum.GetNames<TlsPolicy>())}");
        if (Credentials.Length == 0)
            return;
        try
        {
            SmarthostCredentials.Read(Credentials);
        }
        catch (InvalidDataException unfit)
        {
            errors.Add($"{setting}:Credentials is '{Credentials}'; {unfit.Message}");
        }
    }
}

/// <summary>How credentials are shown to a smarthost.</summary>
public enum SmarthostMechanism
{
    /// <summary>The best that it offers, but for those that need a word of the operator: SCRAM-SHA-256-PLUS and XOAUTH2.</summary>
    Any = 0,

    /// <summary>The next, bound to the TLS connection by the host's certificate (RFC 5929 §4): for a host that binds so, and not by tls-exporter (RFC 9266).</summary>
    ScramSha256Plus,

    /// <summary>RFC 7677: the password does not leave this process, and the smarthost proves that it knows it.</summary>
    ScramSha256,

    /// <summary>RFC 4616.</summary>
    Plain,

    /// <summary>draft-murchison-sasl-login.</summary>
    Login,

    /// <summary>A bearer token in the place of the password, as Google and Microsoft take it.</summary>
    XOAuth2,
}

/// <summary>Who we are to a smarthost. It is never logged.</summary>
internal sealed record SmarthostCredentials(string UserName, string Secret)
{
    private const int MaxBytes = 16 * 1024;

    /// <summary>As they are in the file, or in the folder, at this moment.</summary>
    /// <exception cref="InvalidDataException">There are none; its message goes on behind "...:Credentials is '...'; ", and says nothing of them.</exception>
    public static SmarthostCredentials Read(string path)
    {
        try
        {
            if (Directory.Exists(path))
                return Of(Text(Path.Combine(path, "username")), Text(Path.Combine(path, "password")));
            var lines = Text(path).Split('\n', 3);
            return Of(lines[0], lines.Length > 1 ? lines[1] : "");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException("it must be a file with a user name and a password in two lines, or a folder with the files username and password, that this user can read", error);
        }
    }

    // Records print what they hold.
    public override string ToString() => nameof(SmarthostCredentials);

    private static SmarthostCredentials Of(string userName, string secret)
    {
        var (name, password) = (userName.TrimEnd('\r', '\n'), secret.TrimEnd('\r', '\n'));
        return name.Length > 0 && password.Length > 0 && !name.Contains('\0', StringComparison.Ordinal) && !password.Contains('\0', StringComparison.Ordinal)
            ? new SmarthostCredentials(name, password)
            : throw new InvalidDataException("a user name and a password must be in it, without NUL");
    }

    private static string Text(string file)
    {
        if (new FileInfo(file) is { Exists: true, Length: > MaxBytes })
            throw new IOException("too large");
        return File.ReadAllText(file);
    }
}
