using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>What a look at the file of a policy has found.</summary>
public enum PolicyLook
{
    Unchanged,

    /// <summary>It has changed, and counts from now on.</summary>
    Taken,

    /// <summary>It says what is not allowed, and what was taken before counts.</summary>
    Refused,

    Unreadable,
}

/// <summary>
/// A policy in a file of JSON that may change while the process runs: read whole, compared by its octets, and taken as one object or not at
/// all. Each state of the file is judged once. For one caller at a time.
/// </summary>
/// <param name="parse">Null, or something among the failures: it is not what is allowed.</param>
public sealed class PolicyReader<TPolicy>(string path, Func<byte[], List<string>, TPolicy?> parse)
    where TPolicy : class
{
    // As it was read last, whether it was taken or not.
    private byte[] _seen = [];

    public TPolicy? Policy { get; private set; }

    /// <summary>What is wrong, after a look that found something so.</summary>
    public IReadOnlyList<string> Failures { get; private set; } = [];

    /// <summary>Looks at the file, and takes what it says if it has changed.</summary>
    public PolicyLook Look()
    {
        byte[] bytes;
        try
        {
            bytes = PolicyFiles.Read(path);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            Failures = [unreadable.Message];
            return PolicyLook.Unreadable;
        }

        if (Policy is not null && bytes.AsSpan().SequenceEqual(_seen))
            return PolicyLook.Unchanged;
        _seen = bytes;
        var failures = new List<string>();
        if (PolicyFiles.Parse(bytes, parse, failures) is not { } policy)
        {
            Failures = failures;
            return PolicyLook.Refused;
        }

        Policy = policy;
        return PolicyLook.Taken;
    }
}

/// <summary>What files of policies have in common.</summary>
public static class PolicyFiles
{
    /// <summary>A table for people to read is far from it.</summary>
    public const int MaxBytes = 1024 * 1024;

    /// <summary>How often one is looked at.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Says what is wrong with a file, as its setting's failures.</summary>
    public static void Validate<TPolicy>(string setting, string path, Func<byte[], List<string>, TPolicy?> parse, List<string> failures)
        where TPolicy : class
    {
        try
        {
            var wrong = new List<string>();
            Parse(Read(path), parse, wrong);
            failures.AddRange(wrong.Select(failure => $"{setting} is '{path}': {failure}"));
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            failures.Add($"{setting} is '{path}', which cannot be read: {unreadable.Message}");
        }
    }

    /// <summary>What a file says, for who only wants to know; null: something is wrong with it, which is among the failures then.</summary>
    public static TPolicy? Find<TPolicy>(string path, Func<byte[], List<string>, TPolicy?> parse, List<string> failures)
        where TPolicy : class
    {
        try
        {
            return Parse(Read(path), parse, failures);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            failures.Add($"it cannot be read: {unreadable.Message}");
            return null;
        }
    }

    /// <summary>The settings that the file has, by the rules of all settings; null where it is no JSON of them, which is among the failures then.</summary>
    /// <param name="section">What messages call them by.</param>
    public static TOptions? ReadOptions<TOptions>(byte[] bytes, string section, List<string> failures)
        where TOptions : class, new()
    {
        try
        {
            var written = new ConfigurationBuilder().AddJsonStream(new MemoryStream(bytes)).Build();
            return new ConfigurationBuilder()
                .AddInMemoryCollection(written.AsEnumerable().Select(setting => KeyValuePair.Create($"{section}:{setting.Key}", setting.Value)))
                .Build()
                .ReadSettings<TOptions>(section);
        }
        catch (OptionsValidationException wrong)
        {
            failures.AddRange(wrong.Failures);
        }
        catch (Exception unreadable) when (unreadable is JsonException or FormatException or InvalidDataException)
        {
            failures.Add($"it is no JSON of settings: {(unreadable.InnerException ?? unreadable).Message}");
        }

        return null;
    }

    /// <summary>Whole, with its links followed: a ConfigMap's file is a link that is turned round.</summary>
    internal static byte[] Read(string path)
    {
        using var file = File.OpenRead(path);
        // What is written to it meanwhile is there at the next look.
        var bytes = new byte[Math.Min(file.Length, MaxBytes) + 1];
        var length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return bytes[..length];
    }

    internal static TPolicy? Parse<TPolicy>(byte[] bytes, Func<byte[], List<string>, TPolicy?> parse, List<string> failures)
        where TPolicy : class
    {
        if (bytes.Length > MaxBytes)
        {
            failures.Add($"the policy has more than {MaxBytes} octets");
            return null;
        }

        var policy = parse(bytes, failures);
        return failures.Count > 0 ? null : policy;
    }
}
