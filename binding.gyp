{
  # node-gyp reads this file; the real build is CMakeLists.txt, run by scripts/build.mjs. The output named here never
  # exists, so that the script always runs and decides for itself what is stale.
  'targets': [{
    'target_name': 'dllm_native',
    'type': 'none',
    'actions': [{
      'action_name': 'cmake',
      'inputs': ['CMakeLists.txt'],
      'outputs': ['always'],
      'action': ['node', 'scripts/build.mjs'],
    }],
  }],
}
